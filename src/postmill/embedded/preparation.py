"""Everything between an empty folder and a server that may start: home, lock, version, stale pid file, sockets.

Runs in the supervisor, before the server. Each refusal is an ``EmbeddedError``. Must not start the server.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from postmill.embedded import account as accounts
from postmill.embedded import address
from postmill.embedded.folder import Home
from postmill.embedded.locks import FileLock
from postmill.model.errors import EmbeddedError

if TYPE_CHECKING:
    from postmill.embedded.account import Account
    from postmill.embedded.binaries import Binaries
    from postmill.embedded.folder import ControlFolder

SYSTEM_FOLDER = Path("/var/lib/postmill")
_ORPHAN_S = 15.0


def settle_home(control: ControlFolder, account: Account | None, system: Path, *, throwaway: bool) -> Home:
    """The folder for the cluster: the control folder, or a system place where the account can't reach that.

    What is chosen is written to ``control.location`` and kept from then on.
    """
    home = control.home()
    if account is None or accounts.can_use(account, home.path, os.X_OK):
        return home
    if control.location.exists():
        raise EmbeddedError(
            f"The data folder {home.path} can't be reached.",
            why=f"{control.location} names it, and {accounts.name_of(account.uid)} may not enter it.",
            hint=f"Give that folder back, or remove {control.location} to begin with an empty database.",
        )
    if throwaway:
        system = Path(tempfile.gettempdir())
    system.mkdir(mode=0o711, parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f"postmill-{control.path.parent.name}-", dir=system))
    place.chmod(0o711)
    control.location.write_text(f"{place}\n")
    return Home(place)


def lock_home(home: Home) -> FileLock:
    """Take the lock that the server inherits. An orphan of a killed supervisor is told to stop first."""
    lock = FileLock(home.lock)
    if lock.try_exclusive():
        return lock
    _stop_orphan(home)
    try:
        lock.exclusive(_ORPHAN_S)
    except TimeoutError as error:
        lock.close()
        raise EmbeddedError(
            f"The data folder {home.path} is in use.",
            why="A Postgres outside of this project's reach holds its lock: in another container or a copied project.",
            hint="Stop that one first. Two servers on one folder would destroy it.",
        ) from error
    return lock


def check_cluster(home: Home, binaries: Binaries) -> bool:
    """Whether there is a cluster already. Refuses one of another major version and a folder that is not ours."""
    if (home.path / "PG_VERSION").exists():
        raise EmbeddedError(
            f"{home.path} is a data folder of Postgres itself, not one of Postmill's.",
            hint="Choose another folder with --data, or start that Postgres and give its address in POSTMILL_DB_URL.",
        )
    try:
        major = (home.cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        if home.cluster.exists():
            raise EmbeddedError(
                f"The folder {home.cluster} was not made by Postmill.",
                why="It has no PG_VERSION, so it is no database.",
                hint="Move it away, or choose another folder with --data.",
            ) from None
        return False
    if major != str(binaries.major):
        raise EmbeddedError(
            f"The database in {home.cluster} was made by PostgreSQL {major}; this is PostgreSQL {binaries.major}.",
            why="Postgres can't read the files of another major version.",
            hint=f"Dump it with the {major} programs (pg_dump) and load it into a new folder, or use pg_upgrade.",
        )
    return True


def clear_stale_pid(home: Home) -> None:
    """Remove the pid file of a server that is gone; Postgres would refuse to start if the pid has been reused.

    Only with ``home.lock`` held. Refuses when the pid is a Postgres working in this very folder (started by hand).
    """
    file = home.cluster / "postmaster.pid"
    pid = _recorded_pid(home)
    if pid and _works_in(pid, home.cluster):
        raise EmbeddedError(
            f"A Postgres (pid {pid}) already runs on {home.cluster}.",
            why="It was not started by Postmill.",
            hint=f"Stop it: pg_ctl stop -D '{home.cluster}'",
        )
    file.unlink(missing_ok=True)


def settle_sockets(home: Home, account: Account | None, port: int) -> Path:
    """A private folder for the socket: in the home if its path is short enough, else a temporary one."""
    folder = home.sockets
    if address.fits(folder, port):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    else:
        folder = address.short_folder(port)
    folder.chmod(0o700)
    accounts.give(folder, account)
    return folder


def _recorded_pid(home: Home) -> int:
    try:
        return int((home.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return 0


def _works_in(pid: int, cluster: Path) -> bool:
    """Whether the process is a Postgres whose working folder is this cluster (Postgres changes into it)."""
    process = Path("/proc") / str(pid)
    if not process.exists():
        return False
    try:
        return (process / "cwd").resolve(strict=True) == cluster.resolve()
    except OSError:
        return False


def _stop_orphan(home: Home) -> None:
    """Ask a server whose supervisor is gone to stop; on Linux the kernel already has."""
    pid = _recorded_pid(home)
    if pid and _works_in(pid, home.cluster):
        os.kill(pid, signal.SIGINT)
        time.sleep(0)
