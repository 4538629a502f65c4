"""Writes down what came of calls, together, as they arrive. An answer stays here until the database has
it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from postmill.db.hot.outage import is_passing
from postmill.service.outage import OutageBackoff
from postmill.service.service import Service
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.model.calls.call import Answer
    from postmill.service.events import Events
    from postmill.service.outage import Outage

BATCH = 200
"""Answers in one statement at most. 200 take about 5 ms, and one row that is refused costs as many tries."""


class Answers(Service):
    """The answers of one process."""

    def __init__(self, shared: SharedConnection, events: Events, outage: Outage) -> None:
        super().__init__(events)
        self._shared = shared
        self._backoff = OutageBackoff(outage)
        self._waiting: list[tuple[Any, ...]] = []
        self._arrived = asyncio.Event()
        self.on_put_off: list[Callable[[], object]] = []
        """Called when calls wait for their next attempt: what makes calls looks when these are due."""

    def add(self, call_id: int, attempt: int, answer: Answer, again_s: float | None) -> None:
        """Note the answer to an attempt; ``again_s``: seconds until the next one, None when it was the
        last.
        """
        self._waiting.append(
            (
                call_id,
                attempt,
                answer.status,
                answer.content_type,
                orjson.dumps(dict(answer.headers)).decode() if answer.status is not None else None,
                answer.content,
                answer.timed_out,
                answer.error,
                answer.is_unknown,
                again_s,
            )
        )
        self._arrived.set()

    async def run_once(self) -> bool:
        """Write a batch. Returns whether more is waiting."""
        self._arrived.clear()
        batch = self._waiting[:BATCH]
        if not batch:
            return False
        try:
            await self._shared.execute(statement("calls_answer"), *map(list, zip(*batch, strict=True)))
        except Exception as error:
            if not is_passing(error):
                raise
            await self._backoff.failed(error)
            return True
        del self._waiting[: len(batch)]
        self._backoff.worked()
        if any(answer[-1] is not None for answer in batch):
            for tell in self.on_put_off:
                tell()
        return bool(self._waiting)

    async def drain(self, seconds: float) -> None:
        """Write all that is left, and end; give up after ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self.stop()
                while await self.run_once():
                    pass
        except TimeoutError:
            await self.wait_ended()

    async def rest(self) -> None:
        """Until an answer arrives."""
        await self._arrived.wait()

    def wake(self) -> None:
        """End the rest."""
        self._arrived.set()
