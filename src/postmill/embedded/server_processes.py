"""Finds the processes of Postgres that work on one cluster, also those that outlived their server.

A process is known by its working folder, compared by device and inode, by what it calls itself and by when it
began: a process id alone may be another program's by now, and a path may lead to a copy. Must not decide what
becomes of them, except in :class:`OldSessions`.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

ENDED_AFTER_S = 5.0
"""How long the sessions of a killed server may finish their statement, in seconds. Nearly every statement is
shorter than 5 s. Postgres itself gives them no time at all when one of its processes crashes.
"""
KILLED_AFTER_S = 10.0
"""Age of such a session from which it is killed, in seconds. A session that is stopped, or waits for a disk,
does not act on SIGQUIT; 5 s later it gets SIGKILL.
"""
_PROCESSES = Path("/proc")
_BEGAN = 19
"""Index of the start time in a process's ``stat``, counted from the field after the name: field 22 in
proc_pid_stat(5).
"""


class OldSessions:
    """The sessions of a killed server, which keep a new one from starting until they have ended."""

    def __init__(self, cluster: Path) -> None:
        self._cluster = cluster
        self._since: float | None = None

    def left(self) -> list[int]:
        """The process ids of those that still run. Those that stay too long are ended."""
        found = sessions_without_server(self._cluster)
        if not found:
            self._since = None
            return []
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        waited = now - self._since
        if waited > ENDED_AFTER_S:
            for pid in found:
                send(pid, signal.SIGKILL if waited > KILLED_AFTER_S else signal.SIGQUIT, self._cluster)
        return found


def sessions_without_server(cluster: Path) -> list[int]:
    """Sessions on the cluster, when no server is among the processes there; else none.

    Where the system has no ``/proc`` (macOS), none are seen.
    """
    titles = {pid: title for pid, title in _titles().items() if works_in(pid, cluster)}
    ours = {pid: title for pid, title in titles.items() if _is_postgres(title)}
    if not all(title.startswith("postgres:") for title in ours.values()):
        return []  # a server that lives looks after its own sessions
    return list(ours)


def is_server(pid: int, cluster: Path) -> bool:
    """Whether the process is a Postgres on this cluster. Only where the system has ``/proc``."""
    return works_in(pid, cluster) and _is_postgres(_title(pid))


def works_in(pid: int, cluster: Path) -> bool:
    """Whether the folder is the process's working folder: a server makes its cluster that."""
    try:
        return os.path.samestat((_PROCESSES / str(pid) / "cwd").stat(), cluster.stat())
    except OSError:
        return False


def _titles() -> dict[int, str]:
    try:
        names = [entry.name for entry in _PROCESSES.iterdir() if entry.name.isdigit()]
    except OSError:
        return {}
    return {int(name): title for name in names if (title := _title(int(name)))}


def _title(pid: int) -> str:
    """What the process calls itself: the path of its program, or Postgres's description of a session."""
    try:
        return (_PROCESSES / str(pid) / "cmdline").read_bytes().split(b"\0", 1)[0].decode(errors="replace")
    except OSError:
        return ""


def _is_postgres(title: str) -> bool:
    return title.startswith("postgres:") or Path(title).name == "postgres"


def begun(pid: int) -> str:
    """When the process began: the id of the boot, and the kernel's ticks since then. Setting the clock does
    not change them. Empty when there is no such process, or the system does not say.
    """
    try:
        boot = (_PROCESSES / "sys/kernel/random/boot_id").read_text().strip()
        after_name = (_PROCESSES / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return f"{boot}:{after_name[_BEGAN]}" if len(after_name) > _BEGAN else ""


def send(pid: int, number: signal.Signals, cluster: Path, since: str = "") -> bool:
    """Signal the process if it is a Postgres on this cluster, and began ``since`` where that is known.
    Returns whether it was one.

    A descriptor of the process is opened before it is looked at, so that the signal can't reach another
    process that has got the same id.
    """
    process = _held(pid)
    try:
        if not is_server(pid, cluster) or (since and begun(pid) != since):
            return False
        with suppress(ProcessLookupError):
            _signal(pid, process, number)
        return True
    finally:
        if process is not None:
            os.close(process)


def _held(pid: int) -> int | None:
    """A descriptor of the process; None where the system has none, and when the process is gone."""
    try:
        return os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    except OSError:
        return None


def _signal(pid: int, process: int | None, number: signal.Signals) -> None:
    if process is None:
        os.kill(pid, number)
    else:
        signal.pidfd_send_signal(process, number)
