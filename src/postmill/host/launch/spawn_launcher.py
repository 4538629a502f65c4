"""Processes for isolates where forking is not safe: each is a new Python process, which a thread waits for.

Knows nothing of what runs in them.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import suppress
from signal import SIGKILL
from typing import TYPE_CHECKING

from postmill.host.launch.launcher import Ending, Process, clean_environment

if TYPE_CHECKING:
    import socket


class SpawnLauncher:
    """A fresh process for each isolate: slower to start, and possible everywhere."""

    async def start(self) -> None:
        """See :class:`Launcher`."""

    async def launch(self, channel: socket.socket, stdout: int, stderr: int, records: int) -> Process:
        """See :class:`Launcher`."""
        child = subprocess.Popen(  # noqa: ASYNC220 - returns as soon as it is executed
            [sys.executable, "-P", "-m", "postmill.isolate.child", str(channel.fileno()), str(records)],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=[channel.fileno(), records],
            start_new_session=True,
        )
        process = Process(lambda: _kill_group(child.pid))
        process.pid.set_result(child.pid)
        loop = asyncio.get_running_loop()
        threading.Thread(target=_watch, args=(child, process, loop), daemon=True).start()
        return process

    async def stop(self) -> None:
        """See :class:`Launcher`."""


def _watch(child: subprocess.Popen[bytes], process: Process, loop: asyncio.AbstractEventLoop) -> None:
    try:
        ending = _taken_away(child)
    except OSError:  # other code in this process has waited for every child
        ending = Ending(None)
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(process.end, ending)


def _taken_away(child: subprocess.Popen[bytes]) -> Ending:
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    _kill_group(child.pid)  # before its number can be given to another
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    rss = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Ending(status, usage.ru_utime + usage.ru_stime, rss)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, SIGKILL)
