"""What lies where in the folder of an embedded server, and what the server has written down about itself.

The control folder (``.postmill``) belongs to whoever calls; the home holds the cluster. They are the same
folder unless root's server user can't reach it. Must not start anything.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from postmill.embedded.account import inherit_owner


@dataclass(frozen=True)
class ControlFolder:
    """The files through which openers and the supervisor meet. Asking for a name makes nothing."""

    path: Path

    def make(self) -> None:
        """Make the folder if it is missing: others may pass through, only we may list it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.path.mkdir()
        except FileExistsError:
            return
        self.path.chmod(0o711)
        inherit_owner(self.path)

    @property
    def users(self) -> Path:
        """Locked shared by every user of the server; the supervisor ends when it gets it alone."""
        return self.path / "users"

    @property
    def starting(self) -> Path:
        """Locked by the one who starts the server, so that five who come at once start one."""
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


@dataclass(frozen=True)
class State:
    """A running server as its supervisor wrote it down. Valid only while the supervisor's lock is held."""

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

    def write(self, path: Path) -> None:
        """Put it in place in one step, readable by the owner only: it may carry a password."""
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file, indent=2)
        inherit_owner(temporary)
        temporary.replace(path)


def read_state(path: Path) -> State | None:
    """What the last supervisor wrote, or None."""
    try:
        return State(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
