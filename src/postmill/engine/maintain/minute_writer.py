"""Writes what the workers' messages have come to into the table ``minutes``, at the pace of idle heartbeats.
A worker that has settled nothing since sends nothing.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from postmill.engine.maintain.database_duty import DatabaseDuty
from postmill.model.queue import silence
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.maintain.maintained_worker import MaintainedWorker
    from postmill.service.events import Events

EVERY_S = silence.IDLE_BEAT_S
"""Seconds between two writes: what a killed worker has not written is at most this old."""
AFTER_FAILURE_S = 30.0
"""Seconds until the next try after the database has refused the sums. Half a minute: an operator must mend
that, and meanwhile they add up in memory.
"""
SLOTS = 4
"""Rows of a queue and minute that workers share. Four: so many can commit at once, and six hours of a busy
queue are 1,440 rows at most.
"""


class MinuteWriter(DatabaseDuty):
    """The writing of one process."""

    name_of_work = "counting what was done"

    def __init__(self, shared: SharedConnection, workers: Sequence[MaintainedWorker], events: Events) -> None:
        super().__init__(shared, events)
        self._workers = workers
        self._due_at = time.monotonic() + EVERY_S * random.random()  # noqa: S311 - spreads the workers

    async def _batch(self) -> bool:
        await write_sums(self._shared, self._workers)
        self._due_at = time.monotonic() + EVERY_S
        return False

    def _pause_after(self, *, passes: bool) -> float:
        return EVERY_S if passes else AFTER_FAILURE_S


async def write_sums(shared: SharedConnection, workers: Sequence[MaintainedWorker]) -> None:
    """Write what each worker has to tell; what is not known to be written is sent again the next time."""
    for worker in workers:
        batch = worker.sums.batch()
        if batch is None:
            continue
        number, *sums = batch
        slot = worker.worker_id.int % SLOTS
        row = await shared.fetchrow(
            statement("worker_minutes"), worker.worker_id, number, worker.options.queue, slot, *sums
        )
        if row["written"]:
            worker.sums.written()
