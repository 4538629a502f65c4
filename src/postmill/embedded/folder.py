"""What lies where in the folder of an embedded server, and what the server has written down about itself.

The control folder (``.postmill``) belongs to the project; the home holds the cluster. They are the same
folder, unless the project is root's and the server's user can't reach it. Must not start anything.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from postmill.embedded import state_file
from postmill.embedded.account import inherit_owner
from postmill.model.errors import EmbeddedError


@dataclass(frozen=True)
class ControlFolder:
    """The files through which openers and the supervisor meet. Asking for a name makes nothing."""

    path: Path

    def make(self) -> None:
        """Make the folder if it is missing, with mode 0711: other users may pass through it, and only its
        owner may list it.

        Raises ``EmbeddedError`` when a link that leads nowhere has its name.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.path.mkdir()
        except FileExistsError:
            if self.path.is_symlink() and not self.path.exists():
                raise EmbeddedError(
                    f"{self.path} is a link that leads nowhere.",
                    why=f"It points to {self.path.readlink()}, which is not there.",
                    hint="Make that folder, or remove the link.",
                ) from None
            return
        self.path.chmod(0o711)
        inherit_owner(self.path)

    @property
    def users(self) -> Path:
        """Every process that uses the server holds a shared lock on it. The supervisor ends when it gets the
        lock for itself alone.
        """
        return self.path / "users"

    @property
    def starting(self) -> Path:
        """Locked by the process that starts the server, so that five processes which come at once start one
        server.
        """
        return self.path / "starting"

    @property
    def supervisor(self) -> Path:
        """Locked as long as the supervisor lives."""
        return self.path / "supervisor"

    @property
    def control(self) -> Path:
        """A named pipe on which the supervisor takes its few commands."""
        return self.path / "control"

    @property
    def state(self) -> Path:
        """What the running server says about itself, as JSON."""
        return self.path / "server.json"

    @property
    def log(self) -> Path:
        """The log of Postgres and of the supervisor."""
        return self.path / "postgres.log"

    @property
    def password(self) -> Path:
        """The superuser's password for TCP, mode 0600."""
        return self.path / "password"

    @property
    def throwaway(self) -> Path:
        """Its presence marks a database that is deleted after use."""
        return self.path / "throwaway"

    @property
    def location(self) -> Path:
        """Says where the home is, when it is not here."""
        return self.path / "location"

    def home(self) -> Home:
        """Where the cluster is, or will be."""
        try:
            return Home(Path(self.location.read_text().strip()))
        except FileNotFoundError:
            return Home(self.path)


@dataclass(frozen=True)
class Home:
    """The folder that holds the cluster; the server's user must be able to reach it."""

    path: Path

    @property
    def cluster(self) -> Path:
        """Postgres's data folder."""
        return self.path / "postgres"

    @property
    def unfinished(self) -> Path:
        """Where a cluster is made before it gets its name; what is found here was never used."""
        return self.path / "postgres.unfinished"

    @property
    def lock(self) -> Path:
        """Locked by the supervisor and inherited by Postgres, so no second server starts on this cluster."""
        return self.path / "lock"

    @property
    def sockets(self) -> Path:
        """Where the socket lies, if the path is short enough."""
        return self.path / "socket"

    @property
    def owner(self) -> Path:
        """Names the control folder that a home elsewhere belongs to: a copied project must not use it."""
        return self.path / "project"


@dataclass(frozen=True)
class State:
    """A running server as its supervisor wrote it down.

    Valid only while the supervisor's lock is held, and only in the folder that it names: a copied project
    brings a copy of this file along.
    """

    supervisor_pid: int
    server_pid: int
    version: str
    source: str
    url: str
    tcp_url: str | None
    socket_folder: str
    port: int
    cluster: str
    started_at: float
    kept: bool
    throwaway: bool
    folder: str
    """The control folder that the server was started for, and what tells it from a copy:"""
    folder_id: str
    socket_id: str
    """The same of the folder with the socket."""
    server_begun: str = ""
    """When ``server_pid`` began to be that server: the id may be another process's later."""
    trouble: str = ""
    """Why the server is down at the moment; empty while it is up."""

    def belongs_to(self, control: ControlFolder) -> bool:
        """Whether this was written for that very folder."""
        return self.folder_id == identity_of(control.path)

    def is_at_its_path(self) -> bool:
        """Whether the folder is where it was when the server started."""
        return self.folder_id == identity_of(Path(self.folder))

    def write(self, path: Path) -> None:
        """Put it in place in one step, readable by the owner only: it may carry a password."""
        temporary = path.with_suffix(".new")
        temporary.unlink(missing_ok=True)  # it may be a link
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file, indent=2)
        inherit_owner(temporary)
        temporary.replace(path)


def identity_of(folder: Path) -> str:
    """What tells a folder from every other that exists now, whatever its path; empty when it is not there."""
    try:
        found = folder.stat()
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def open_log(path: Path) -> BinaryIO:
    """The log, opened for appending. Never through a link: root may write into a folder where other users can
    make links.
    """
    return os.fdopen(
        os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644), "ab"
    )


def read_state(path: Path) -> State | None:
    """What the last supervisor wrote, or None."""
    try:
        return State(**state_file.read(path))
    except TypeError:
        return None
