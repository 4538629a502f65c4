"""Looks from time to time after messages that wait for others, where no settlement does: another client has
archived or deleted what they wait for, or a lock was in the way. The database decides what is free, what is
cancelled, and which process does it (``postmill.sweep_dependents``). While no message waits for another, a
process sends nothing.
"""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING

from postmill.engine.maintain.database_duty import DatabaseDuty
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.service.events import Events

BATCH = 1_000
"""Sources and targets that one sweep looks at, at most. Each costs a look into an index; 1,000 of both take
about 20 ms (measured on two cores), so a renewal on the same connection hardly waits.
"""
EVERY_S = 2.0
"""Seconds between two sweeps while messages wait for others. A message whose source was ended by another
client waits up to this long, and a second more until the database's next round is due: together less than the
promised 5 s.
"""
AFTER_FAILURE_S = 30.0
"""Seconds until the next sweep after one that failed for a reason that does not pass by itself. Half a
minute: an operator must mend that, and a warning every two seconds would fill the log.
"""


class Sweeper(DatabaseDuty):
    """The sweeps of one process."""

    name_of_work = "the sweep"

    def __init__(self, shared: SharedConnection, events: Events) -> None:
        super().__init__(shared, events)
        self._due_at = time.monotonic() + EVERY_S * random.random()  # noqa: S311 - spreads the workers

    def told(self, dependents: bool) -> None:
        """Whether messages may wait for others."""
        if not dependents:
            self._due_at = math.inf
        elif self._due_at == math.inf:
            self._due_at = time.monotonic()

    async def _batch(self) -> bool:
        row = await self._shared.fetchrow(statement("sweep_dependents"), BATCH)
        self._due_at = time.monotonic() + EVERY_S
        return bool(row["more"])

    def _pause_after(self, *, passes: bool) -> float:
        return EVERY_S if passes else AFTER_FAILURE_S
