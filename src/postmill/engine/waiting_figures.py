"""What waits in the queues of a process, and its schedules, as its metrics show them: read from the database
when they are asked for, shown when they are asked for the next time. A process without a scraper reads
nothing.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from postmill.model.schedule.firing import LATE_S
from postmill.service.service import new_task
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.worker import QueueWorker

EVERY_S = 10.0
"""The shortest time between two readings, in seconds. 10 s: scrapers come every 15 to 60 s, so that each gets
new figures, and one that comes more often costs no more.
"""


async def schedule_figures(shared: SharedConnection) -> Mapping[str, Any]:
    """The columns of the statement of that name. Raises what asyncpg raises."""
    row: Mapping[str, Any] = await shared.fetchrow(statement("schedule_figures"), LATE_S)
    return row


class WaitingFigures:
    """The last figures of each queue."""

    def __init__(self) -> None:
        self.by_queue: dict[str, Mapping[str, Any]] = {}
        """The columns of the statement ``waiting_figures``. A queue that could not be read is left out."""
        self.schedules: Mapping[str, Any] | None = None
        """The columns of the statement ``schedule_figures``; None until they could be read."""
        self._reading: asyncio.Task[None] | None = None
        self._read_at = float("-inf")

    def ask(
        self, workers: Iterable[QueueWorker], schedules: Callable[[], Awaitable[Mapping[str, Any]]]
    ) -> None:
        """Have them read again by these workers' connections, unless that was done just now."""
        is_busy = self._reading is not None and not self._reading.done()
        if is_busy or time.monotonic() < self._read_at + EVERY_S:
            return
        self._read_at = time.monotonic()
        self._reading = new_task(self._read({worker.place: worker for worker in workers}, schedules))

    async def stop(self) -> None:
        """End a reading that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading

    async def _read(
        self, workers: Mapping[str, QueueWorker], schedules: Callable[[], Awaitable[Mapping[str, Any]]]
    ) -> None:
        for queue, worker in workers.items():
            self.by_queue.pop(queue, None)
            with suppress(Exception):  # no queue, no right, no server: the worker itself tells of it
                self.by_queue[queue] = await worker.waiting_figures()
        self.schedules = None
        with suppress(Exception):
            self.schedules = await schedules()
