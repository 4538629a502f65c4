"""What starts and ends processes for isolates, whichever way; and what is known of such a process."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from postmill.wire.marks import INHERITED

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended."""

    status: int | None
    """As ``waitpid`` gives it; None: the end could not be seen."""
    cpu_s: float = 0.0
    max_rss_bytes: int = 0

    @property
    def is_clean(self) -> bool:
        """It exited by itself with 0."""
        return self.status == 0

    def __str__(self) -> str:
        if self.status is None:
            return "unknown"
        code = os.waitstatus_to_exitcode(self.status)
        return f"exit {code}" if code >= 0 else f"signal {-code}"


class Process:
    """One process of an isolate."""

    def __init__(self, kill: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.pid: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[Ending] = loop.create_future()
        self.kill = kill
        """Kill its process group, at once and for good; what has left the group is ended after it."""

    def end(self, ending: Ending) -> None:
        """It is gone."""
        if not self.pid.done():
            self.pid.set_result(0)
        if not self.ended.done():
            self.ended.set_result(ending)


class Launcher(Protocol):
    """A way to start processes."""

    async def start(self) -> None:
        """Be ready to launch."""

    async def launch(self, channel: socket.socket, stdout: int, stderr: int, records: int) -> Process:
        """Start one. It has copies of the four descriptors, and no other of the host's."""

    async def stop(self) -> None:
        """End every process that is left, and what starts them."""


def clean_environment() -> dict[str, str]:
    """The variables of the host's environment that a new process of the host gets."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}
