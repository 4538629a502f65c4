"""What lies between a folder and a server that may start: home, lock, version, stale pid file, sockets.

Runs in the supervisor, before the server. Each refusal is an ``EmbeddedError``. Must not start the server.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from postmill.embedded import account as accounts
from postmill.embedded import address, server_processes
from postmill.embedded.folder import Home
from postmill.embedded.locks import FileLock
from postmill.embedded.server_processes import OldSessions
from postmill.model.errors import EmbeddedError

if TYPE_CHECKING:
    from postmill.embedded.account import Account
    from postmill.embedded.binaries import Binaries
    from postmill.embedded.folder import ControlFolder, State

_ORPHAN_S = 60.0
"""How long a server that was told to stop may take, in seconds: as long as the supervisor gives its own
server (``postgres_process._STOP_S``).
"""
_UNSEEN_S = 1.0
"""How long to wait for a lock whose holder can't be seen, in seconds. 1 s: a server that is just ending lets
go within that; another one, in another container, will not.
"""
_POLL_S = 0.05
"""Pause between two looks for old sessions, in seconds. 50 ms: a look reads the names of all processes, and
sessions end within milliseconds or seconds.
"""


def settle_home(control: ControlFolder, account: Account | None, system: Path) -> Home:
    """The folder for the cluster: the control folder, or one under ``system`` where it can't be reached.

    What is chosen is written to ``control.location`` and kept from then on. Raises ``EmbeddedError`` when the
    written place is gone or was not made by Postmill.
    """
    home = control.home()
    if control.location.exists() and not _is_ours(home.path):
        raise EmbeddedError(
            f"The data folder {home.path} can't be used.",
            why=f"{control.location} names it, but it is missing or was not made by Postmill.",
            hint=f"Bring it back, or remove {control.location} to begin with an empty database.",
        )
    if control.location.exists():
        _take_possession(control, home)
    if account is None or accounts.can_use(account, home.path, os.X_OK):
        return home
    return _elsewhere(control, system)


def lock_home(home: Home, predecessor: State | None) -> FileLock:
    """Take the lock that the server inherits. If the server of a killed supervisor still runs
    (``predecessor`` is what that supervisor wrote down), it is told to stop first. Sessions that outlived
    their server are waited for.
    """
    lock = FileLock(home.lock)
    if lock.try_exclusive():
        return lock
    try:
        if _stop_orphan(home, predecessor) or _await_old_sessions(home):
            lock.exclusive(_ORPHAN_S)
        else:
            lock.exclusive(_UNSEEN_S)
    except TimeoutError as error:
        lock.close()
        raise EmbeddedError(
            f"The data folder {home.path} is in use.",
            why="A Postgres that this project can't see holds its lock: in another container, or of a copy.",
            hint="Stop that one first. Two servers on one folder would destroy it.",
        ) from error
    return lock


def check_cluster(home: Home, binaries: Binaries) -> bool:
    """Whether there is a cluster. Refuses a cluster of another major version, and a folder that Postmill has
    not made.
    """
    if (home.path / "PG_VERSION").exists():
        raise EmbeddedError(
            f"{home.path} is a data folder of Postgres itself, not one of Postmill's.",
            why="Postmill keeps its database in a folder of its own making.",
            hint="Choose another with --data, or start that Postgres and set POSTMILL_DB_URL.",
        )
    if not home.cluster.exists():
        return False
    try:
        major = (home.cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedError(
            f"The folder {home.cluster} was not made by Postmill.",
            why="It has no PG_VERSION, so it is no database.",
            hint="Move it away, or choose another folder with --data.",
        ) from None
    if major != str(binaries.major):
        raise EmbeddedError(
            f"PostgreSQL {binaries.major} can't open the database in {home.cluster}.",
            why=f"PostgreSQL {major} made it, and no major version reads the files of another.",
            hint=f"Dump it with PostgreSQL {major}'s pg_dump, load it into a new folder; or use pg_upgrade.",
        )
    return True


def check_durability(control: ControlFolder, home: Home, *, throwaway: bool) -> None:
    """Never mix the two kinds: a throw-away cluster is deleted in the end, and may not survive a crash."""
    marked = control.throwaway.exists()
    if throwaway and not marked:
        if home.cluster.exists():
            raise EmbeddedError(
                f"{control.path} holds a database that is not throw-away.",
                why="It would be deleted at the end.",
                hint="Choose an empty folder.",
            )
        control.throwaway.touch()
    elif marked and not throwaway:
        raise EmbeddedError(
            f"{control.path} holds a throw-away database.",
            why="It was made for a test and is not safe against crashes.",
            hint=f"Choose another folder, or delete it: rm -r '{control.path}'",
        )


def clear_stale_pid(home: Home) -> None:
    """Remove the pid file of a dead server: Postgres refuses to start if another process has the pid by now.

    Only with ``home.lock`` held. Refuses when the pid is a Postgres on this very folder, started by hand.
    """
    pid = _recorded_pid(home)
    if pid and _serves(pid, home.cluster):
        raise EmbeddedError(
            f"A Postgres (pid {pid}) already runs on {home.cluster}.",
            why="It was not started by Postmill.",
            hint=f"Stop it: pg_ctl stop -D '{home.cluster}'",
        )
    (home.cluster / "postmaster.pid").unlink(missing_ok=True)


def settle_sockets(home: Home, account: Account | None, port: int) -> Path:
    """A private folder for the socket: in the home if its path is short enough, else a temporary one."""
    folder = home.sockets
    if address.fits(folder, port):
        if folder.is_symlink():
            folder.unlink()  # the folder behind a link keeps its owner
        address.forget(folder)
        folder.mkdir(mode=0o700, exist_ok=True)
    else:
        folder = address.short_folder(port)
    folder.chmod(0o700)
    accounts.give(folder, account)
    return folder


def _elsewhere(control: ControlFolder, system: Path) -> Home:
    """A new folder under ``system``, named after the project; never one that another project left."""
    system.mkdir(mode=0o711, parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f"postmill-{control.path.parent.name}-", dir=system))
    place.chmod(0o711)
    home = Home(place)
    _write(home.owner, f"{control.path}\n")
    _write(control.location, f"{place}\n")
    return home


def _take_possession(control: ControlFolder, home: Home) -> None:
    """Refuse a home that another project uses: this one's ``location`` is a copy of that one's. A project
    that was moved takes its home along.
    """
    try:
        owner = Path(home.owner.read_text().strip())
    except FileNotFoundError:
        owner = control.path
    if owner != control.path and _names(owner, home) and not owner.samefile(control.path):
        raise EmbeddedError(
            f"The data folder {home.path} belongs to the project in {owner.parent}.",
            why=f"{control.path.parent} seems to be a copy of it; two projects can't share one database.",
            hint=f"Remove {control.location} to begin with an empty database here.",
        )
    _write(home.owner, f"{control.path}\n")


def _names(control: Path, home: Home) -> bool:
    """Whether the project with that control folder still keeps its data in this home."""
    try:
        return (control / "location").read_text().strip() == str(home.path)
    except OSError:
        return False


def _write(path: Path, text: str) -> None:
    """Put the file in place in one step, so that a killed process leaves the old one or the new one."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with unfinished.open("x") as file:
        file.write(text)
    unfinished.replace(path)


def _is_ours(place: Path) -> bool:
    """Whether Postmill has made this folder. Its path was read from a file in the project."""
    return place.name.startswith("postmill-") and place.is_dir() and place.stat().st_uid == os.geteuid()


def _recorded_pid(home: Home) -> int:
    try:
        return int((home.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return 0


def _serves(pid: int, cluster: Path) -> bool:
    """Whether the process is a Postgres on this cluster: it makes the cluster its working folder.

    Where the system does not tell the working folder (macOS), its name must do, and the pid file must not be
    a copy: it names the cluster too.
    """
    if Path("/proc/self/cwd").exists():
        return server_processes.is_server(pid, cluster)
    lines = (cluster / "postmaster.pid").read_text().splitlines()
    if len(lines) < 2 or not cluster.samefile(lines[1]):
        return False
    named = subprocess.run(["ps", "-p", str(pid), "-o", "comm="], capture_output=True, text=True, check=False)
    return "postgres" in named.stdout


def _stop_orphan(home: Home, predecessor: State | None) -> bool:
    """Tell a server whose supervisor is gone to stop; on Linux the kernel has done so. Returns whether there
    was one.
    """
    pid = _recorded_pid(home)
    if not pid or not _serves(pid, home.cluster):
        return False
    if not Path("/proc/self/cwd").exists():
        os.kill(pid, signal.SIGINT)
        return True
    since = predecessor.server_begun if predecessor is not None and predecessor.server_pid == pid else ""
    return server_processes.send(pid, signal.SIGINT, home.cluster, since)


def _await_old_sessions(home: Home) -> bool:
    """Wait until the sessions of a killed server have ended. Returns whether there were any."""
    sessions = OldSessions(home.cluster)
    seen = bool(sessions.left())
    while sessions.left():
        time.sleep(_POLL_S)
    return seen
