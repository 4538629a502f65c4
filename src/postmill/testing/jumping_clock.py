"""A clock that stands still while there is work; when there is none, it jumps to the next time that something
waits for.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from postmill.flows.running.execution import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator


class JumpingClock:
    """The clock of one simulation. All of it happens on one event loop."""

    def __init__(self) -> None:
        self.now_s = 0.0
        """Seconds from the start."""
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._stuck: dict[asyncio.Future[None], Exception] = {}
        self._numbers = count()
        self._working = 0
        self._turns = 0
        self._looking = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around work: the clock stands still meanwhile."""
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._look()

    async def pause(self, for_s: float) -> None:
        """Let time pass in the middle of work."""
        self._working -= 1
        try:
            await self.until(self.now_s + for_s)
        finally:
            self._working += 1

    async def until(self, when_s: float) -> None:
        """Wait until it is that time."""
        future = asyncio.get_running_loop().create_future()
        heappush(self._sleepers, (when_s, next(self._numbers), future))
        self._look()
        await future

    async def for_ever(self, error: Exception) -> None:
        """Wait for what nothing brings: ``error`` is raised when nothing else is left to do."""
        future = asyncio.get_running_loop().create_future()
        self._stuck[future] = error
        self._look()
        try:
            await future
        finally:
            del self._stuck[future]

    def _look(self) -> None:
        """Jump soon, if nothing goes on: what can go on at once has done so after some turns of the loop."""
        self._turns = PATIENCE
        if not self._looking and not self._working:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turns -= 1
        if self._working or not (self._sleepers or self._stuck):
            self._looking = False
        elif self._turns > 0:
            asyncio.get_running_loop().call_soon(self._turn)
        else:
            self._looking = False
            self._jump()

    def _jump(self) -> None:
        while self._sleepers:
            when_s, _, future = heappop(self._sleepers)
            if not future.done():  # one whose task was cancelled waits no more
                self.now_s = max(self.now_s, when_s)
                future.set_result(None)
                self._look()
                return
        for future, error in list(self._stuck.items()):
            if not future.done():
                future.set_exception(error)
