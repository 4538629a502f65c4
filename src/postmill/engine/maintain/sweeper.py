"""Looks from time to time after messages that wait for others, where no settlement does: another client has
archived or deleted what they wait for, or a lock was in the way.

Decides when. The database decides what is free, what is cancelled, and which process does it
(``postmill.sweep_dependents``).
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from postmill.db.hot.outage import is_passing
from postmill.model.events import Event
from postmill.service.timed import TimedService
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.service.events import Events

BATCH = 1_000
"""Sources and targets that one sweep looks at, at most. Each costs a look into an index; 1,000 of both take
about 20 ms (measured on two cores), so a renewal on the same connection hardly waits.
"""
EVERY_S = 2.0
"""Seconds between two sweeps. A message whose source was ended by another client waits up to this long, and a
second more until the database's next round is due: together less than the promised 5 s.
"""
SHARE = 0.2
"""The share of the time that sweeping takes while more is waiting. A fifth: the heartbeat's connection has
more important work.
"""
AFTER_FAILURE_S = 30.0
"""Seconds until the next sweep after one that failed for a reason that does not pass by itself. Half a
minute: an operator must mend that, and a warning every two seconds would fill the log.
"""


class Sweeper(TimedService):
    """The sweeps of one process."""

    def __init__(self, shared: SharedConnection, events: Events) -> None:
        super().__init__(events)
        self._shared = shared
        self._events = events
        self._due_at = time.monotonic() + EVERY_S * random.random()  # noqa: S311 - spreads the workers

    async def run_once(self) -> bool:
        """One batch. Returns whether more is waiting. Raises only temporary errors of the database, which the
        caller waits out.
        """
        began = time.monotonic()
        try:
            row = await self._shared.fetchrow(statement("sweep_dependents"), BATCH)
        except Exception as error:
            self._due_at = began + AFTER_FAILURE_S
            if is_passing(error):
                self._due_at = began + EVERY_S
                raise
            self._events.emit(Event.WORKER_FAILED, exception=error, reason="the sweep failed")
            return False
        now = time.monotonic()
        more = bool(row["more"])
        self._due_at = now + ((now - began) * (1 / SHARE - 1) if more else EVERY_S)
        return more
