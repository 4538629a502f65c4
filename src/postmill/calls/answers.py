"""Writes down what came of calls, together, as they arrive. An answer stays here until the database has
it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

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
BATCH_CHARACTERS = 4 * 1024 * 1024
"""Characters of their contents in one statement at most. 4 MiB: four answers of the largest size, and well
within the ten seconds that a statement may take.
"""


class Row(NamedTuple):
    """One answer, as the statement ``calls_answer`` takes it."""

    call_id: int
    attempt: int
    status: int | None
    content_type: str | None
    headers: str | None
    content: str | None
    timed_out: bool
    error: str | None
    is_unknown: bool
    again_s: float | None


class Answers(Service):
    """The answers of one process."""

    def __init__(self, shared: SharedConnection, events: Events, outage: Outage) -> None:
        super().__init__(events)
        self._shared = shared
        self._backoff = OutageBackoff(outage)
        self._waiting: list[Row] = []
        self._one_by_one = False
        """Whether a batch was refused, and the answer that can't be stored is looked for."""
        self._arrived = asyncio.Event()
        self.on_put_off: list[Callable[[], object]] = []
        """Called when calls wait for their next attempt: what makes calls looks when these are due."""

    def add(self, call_id: int, attempt: int, answer: Answer, again_s: float | None) -> None:
        """Note the answer to an attempt; ``again_s``: seconds until the next one, None when it was the
        last.
        """
        self._waiting.append(
            Row(
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
        batch = self._next_batch()
        if not batch:
            self._one_by_one = False
            return False
        try:
            await self._shared.execute(statement("calls_answer"), *map(list, zip(*batch, strict=True)))
        except Exception as error:
            if is_passing(error):
                await self._backoff.failed(error)
            else:
                self._refused(batch, error)
            return True
        del self._waiting[: len(batch)]
        self._backoff.worked()
        if any(answer.again_s is not None for answer in batch):
            for tell in self.on_put_off:
                tell()
        return bool(self._waiting)

    def _next_batch(self) -> list[Row]:
        """The first answers, as many as one statement may hold; at least one."""
        size = 0
        for place, answer in enumerate(self._waiting[: 1 if self._one_by_one else BATCH]):
            size += len(answer.content or "")
            if size > BATCH_CHARACTERS and place:
                return self._waiting[:place]
        return self._waiting[: 1 if self._one_by_one else BATCH]

    def _refused(self, batch: list[Row], error: Exception) -> None:
        """One answer that can't be stored must keep no other: each is tried alone, and of that one only the
        reason is kept. Raises ``error`` where that is refused too.
        """
        if len(batch) > 1:
            self._one_by_one = True
            return
        row, reason = batch[0], f"the answer can't be stored: {type(error).__name__}"
        plain = row._replace(
            content_type=None, headers=None, content=None, timed_out=False, error=reason, again_s=None
        )
        if row == plain:
            raise error
        self._waiting[0] = plain

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
