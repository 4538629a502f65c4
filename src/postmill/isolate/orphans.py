"""Takes away the daemons of user code that have ended. An isolate adopts the processes that its children
leave behind, so that they are measured and killed with it. Only the isolate can remove the dead ones from the
table of processes.

Never touches a process that user code may still wait for: one with the isolate's session, or a session of its
own.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

LOOK_S = 2.0
"""Seconds between two looks for dead adopted processes. 2 s: they take only an entry in the table of
processes, and a look reads every process of the machine.
"""
_STATE, _SESSION = 0, 3
"""Fields of /proc/<pid>/stat, counted from the state."""


def look_for_ever() -> None:
    """Begin, on the running event loop. It is a timer and no service: user code that waits for all tasks of
    its event loop, or cancels them, must not meet a task of Postmill that never ends. The next look is set
    before this one, so that an error of this one does not end the looks.
    """
    asyncio.get_running_loop().call_later(LOOK_S, look_for_ever)
    reap()


def reap() -> None:
    """Remove every dead child that was certainly not started by this process."""
    session = str(os.getsid(0))
    for pid in _children():
        with suppress(OSError, IndexError):
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            fields = stat.rpartition(")")[2].split()
            # A child of this process has its session, or has made its own. With any other session it was
            # started elsewhere.
            if fields[_STATE] == "Z" and fields[_SESSION] not in {session, pid}:
                os.waitpid(int(pid), os.WNOHANG)


def _children() -> list[str]:
    """None where the kernel does not list them."""
    found: list[str] = []
    with suppress(OSError):
        for thread in os.listdir("/proc/self/task"):  # noqa: PTH208 - names only
            found += Path(f"/proc/self/task/{thread}/children").read_text(encoding="ascii").split()
    return found
