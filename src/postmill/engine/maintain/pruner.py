"""Prunes a bounded batch from time to time. The database decides which rows are old enough and which queue is
next.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.engine.maintain.database_duty import DatabaseDuty
from postmill.model.events import Event
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.service.events import Events

BATCH = 5_000
"""Rows that one pruning deletes at most. 5,000 take about 8 ms (measured on two cores with 100-byte
messages), so a renewal on the same connection hardly waits.
"""
EVERY_S = 60.0
"""Seconds between two questions whether something is due. A minute: rows are kept for hours or days, so their
end is no urgent matter.
"""
AFTER_OTHERS = 2.0
"""How many times as late the next question comes after two in a row that found nothing due: other processes
prune, and twenty idle workers stay below the 20 statements a second that are promised. One that is alone asks
in vain once at most: a queue is due every minute, when it is noted how full it is.
"""
AFTER_FAILURE_S = 300.0
"""Seconds until the next try after a pruning that failed or took too long. Five minutes: its cause, such as a
long transaction, is seldom gone sooner.
"""
TIMEOUT_S = 5.0
"""How long a statement may take before the connection counts as lost, in seconds. The server itself ends a
slow pruning after 0.8 s, so 5 s mean that it no longer answers.
"""


class Pruner(DatabaseDuty):
    """The pruning of one process."""

    name_of_work = "pruning"

    def __init__(self, shared: SharedConnection, events: Events) -> None:
        super().__init__(shared, events)
        self._due_at = time.monotonic() + EVERY_S * random.random()  # noqa: S311 - spreads the workers
        self._in_vain = 0
        """Questions in a row that have found nothing due."""

    async def _batch(self) -> bool:
        try:
            done = await self._prune()
        except asyncpg.QueryCanceledError:
            self._due_at = time.monotonic() + AFTER_FAILURE_S
            self._events.emit(Event.HISTORY_PRUNED, reason="took too long, and will be tried again")
            return False
        if done is None:
            self._in_vain += 1
            spread = 0.9 + 0.2 * random.random()  # noqa: S311
            self._due_at = time.monotonic() + rest_s(self._in_vain) * spread
            return False
        self._in_vain = 0
        counts = {name: done[name] for name in ("archived", "failures", "history", "workers")}
        if any(counts.values()):
            self._events.emit(Event.HISTORY_PRUNED, of_queue=done["queue_name"], **counts)
        return True  # another queue may be due

    def _pause_after(self, *, passes: bool) -> float:
        return AFTER_FAILURE_S

    async def _prune(self) -> Any:
        async with self._shared.connection() as connection, connection.transaction():
            await connection.execute(statement("prune_limit"), timeout=TIMEOUT_S)
            return await connection.fetchrow(statement("prune"), BATCH, timeout=TIMEOUT_S)


def rest_s(in_vain: int) -> float:
    """How long to rest after so many questions in a row that found nothing due, in seconds."""
    return EVERY_S * (AFTER_OTHERS if in_vain > 1 else 1.0)
