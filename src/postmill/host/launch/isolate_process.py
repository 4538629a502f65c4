"""The process of one isolate: its pipes, its start, its kill, and its end when all it has printed is read.

Knows nothing of what it serves, nor why it is killed.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.host.launch.output import Output
from postmill.host.launch.records import Records
from postmill.wire.marks import STACK_SIGNAL

if TYPE_CHECKING:
    import socket

    from postmill.host.launch.launcher import Ending, Launcher, Process
    from postmill.service.events import Events

STACK_S = 0.1
"""How long the stack of a blocked isolate is waited for, in seconds. The kernel interrupts the thread at
once, and it writes a few lines.
"""
OUTPUT_S = 0.5
"""How long the rest of an ended isolate's output is waited for, in seconds. A pipe ends with its last writer
at once; 0.5 s later another process holds it.
"""


class IsolateProcess:
    """Made once, launched once."""

    def __init__(self, launcher: Launcher, events: Events, function: str, execution_id: str) -> None:
        self.pid = 0
        """0 as long as there is none."""
        self._launcher = launcher
        self._records = Records(events, function, execution_id)
        self._outputs = [
            Output(events, function, execution_id, "stdout"),
            Output(events, function, execution_id, "stderr"),
            self._records,
        ]
        self._process: Process | None = None
        self._killed = False

    @property
    def is_launched(self) -> bool:
        """Whether there is, or was, a process."""
        return self._process is not None

    async def launch(self, channel: socket.socket) -> None:
        """Start it with its end of the channel, which the caller closes here."""
        writing: list[int] = []
        try:
            for output in self._outputs:
                reading, its_end = os.pipe()
                writing.append(its_end)
                await output.attach(reading)
            self._process = await self._launcher.launch(channel, *writing)
        finally:
            for descriptor in writing:
                os.close(descriptor)
        self.pid = self._process.pid.result()
        if self._killed:
            self._process.kill()

    def kill(self) -> None:
        """End it at once; one that is not there yet, as soon as it is."""
        self._killed = True
        if self._process is not None:
            self._process.kill()

    async def stack(self) -> str:
        """The stack of its event loop's thread at this moment; empty if it can't be read."""
        self._records.expect_stack()
        if self.pid and STACK_SIGNAL is not None:
            with suppress(OSError):
                os.kill(self.pid, STACK_SIGNAL)
                await asyncio.sleep(STACK_S)
        return self._records.taken_stack()

    async def until_ended(self) -> Ending:
        """Until it is gone. Only after :meth:`launch`."""
        if self._process is None:
            raise RuntimeError("there is no process yet")
        return await asyncio.shield(self._process.ended)

    async def until_silent(self) -> None:
        """Wait until the rest of its output has been read, or another process seems to hold the pipe."""
        for output in self._outputs:
            try:
                async with asyncio.timeout(OUTPUT_S):
                    await output.ended.wait()
            except TimeoutError:
                output.close()
