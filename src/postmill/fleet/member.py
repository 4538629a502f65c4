"""One worker process, as its parent sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.fleet.line import STARTED, VARIABLE, WORN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Member:
    """A process that runs ``postmill`` with ``arguments``. ``on_change`` is called whenever it has started,
    is worn out, or has ended.
    """

    def __init__(self, number: int, on_change: Callable[[], object]) -> None:
        self.number = number
        """Which of the fleet's places it has, from 0: its probe's port follows from it."""
        self.started_at: float | None = None
        """When its workers began to claim, by the monotonic clock; None before."""
        self.worn = ""
        """Why it has asked to be replaced; empty: it has not."""
        self.told = False
        """Whether it was asked to stop."""
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._socket: socket.socket | None = None
        self._waiting: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Its number in the system; 0 before it runs."""
        return 0 if self._process is None else self._process.pid

    @property
    def ending(self) -> int | None:
        """Its exit code, or minus the signal that killed it; None while it runs."""
        return None if self._process is None else self._process.returncode

    async def start(self, arguments: Sequence[str], port: int | None) -> None:
        """Run it, with a line to this process. Raises :class:`OSError` when there can be no process."""
        own, theirs = socket.socketpair()
        own.setblocking(False)  # noqa: FBT003 - its only form
        told = f"{theirs.fileno()}:{'' if port is None else port}"
        try:
            # A process group of its own: Ctrl-C reaches the parent alone, which passes it on.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "postmill.cli.main",
                *arguments,
                env={**os.environ, VARIABLE: told},
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                process_group=0,
            )
        except BaseException:
            own.close()
            raise
        finally:
            theirs.close()
        self._socket = own
        asyncio.get_running_loop().add_reader(own, self._read)
        self._waiting = asyncio.get_running_loop().create_task(self._wait(self._process))

    def stop(self) -> None:
        """Ask it to finish what it runs and end. Asked again, it cuts that short."""
        self.told = True
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def _read(self) -> None:
        assert self._socket is not None  # noqa: S101
        try:
            letters = self._socket.recv(64)
        except OSError:
            letters = b""
        if not letters:
            self._hang_up()
        if STARTED in letters:
            self.started_at = time.monotonic()
        self.worn = self.worn or next((reason for reason, letter in WORN.items() if letter in letters), "")
        self._on_change()

    def _hang_up(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    async def _wait(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        self._hang_up()
        self._on_change()
