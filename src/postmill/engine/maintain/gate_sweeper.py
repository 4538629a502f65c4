"""Mends the gates of queues that have some: places in groups whose claim is gone, gates whose message is
gone. The database decides what is to be mended (``postmill.sweep_gates``), and that one worker of many does
it. A process whose queues have no gates sends nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from postmill.engine.maintain.database_duty import DatabaseDuty
from postmill.engine.maintain.sweeper import AFTER_FAILURE_S
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.maintain.maintained_worker import MaintainedWorker
    from postmill.service.events import Events

EVERY_S = 1.5
"""Seconds between two looks. The database does it three seconds after the last time at the earliest, so a
place is free again within five.
"""


class GateSweeper(DatabaseDuty):
    """The sweeps of one process."""

    name_of_work = "the sweep of gates"

    def __init__(self, shared: SharedConnection, workers: Sequence[MaintainedWorker], events: Events) -> None:
        super().__init__(shared, events)
        self._workers = workers

    async def _batch(self) -> bool:
        """Sweep each queue with gates once."""
        self._due_at = time.monotonic() + EVERY_S
        for queue in {worker.options.queue for worker in self._workers if worker.has_gates()}:
            await self._shared.fetchrow(statement("sweep_gates"), queue)
        return False

    def _pause_after(self, *, passes: bool) -> float:
        return EVERY_S if passes else AFTER_FAILURE_S
