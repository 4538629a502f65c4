"""Now and then takes a bounded batch of pruning upon itself, on the heartbeat's connection: never in the way
of claims and settlements, and never for so long that a renewal waits.

Decides when; what is old enough and whose turn it is, the database decides.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.db.hot.outage import is_passing
from postmill.model.events import Event
from postmill.service.timed import TimedService
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.service.events import Events

BATCH = 5_000
"""Rows of one pruning at most: renewals wait for it, and so many take well below a second."""
EVERY_S = 60.0
"""How often a worker asks whether something is due."""
SHARE = 0.2
"""Of the time, while more is waiting: the rest belongs to those who work."""
AFTER_FAILURE_S = 300.0
"""After a pruning that took too long or was refused: what hindered it, a lock or a missing right, lasts."""
TIMEOUT_S = 5.0
"""Of a connection that no longer answers; the server itself ends a slow pruning much earlier."""


class Pruner(TimedService):
    """The pruning of one process."""

    def __init__(self, shared: SharedConnection, events: Events) -> None:
        super().__init__(events)
        self._shared = shared
        self._events = events
        self._due_at = time.monotonic() + EVERY_S * random.random()  # noqa: S311 - spreads the workers

    async def run_once(self) -> bool:
        """One batch. Returns whether more is waiting. Raises only what passes by itself: an outage is the
        caller's to weather.
        """
        began = time.monotonic()
        try:
            done = await self._prune()
        except asyncpg.QueryCanceledError:
            self._due_at = began + AFTER_FAILURE_S
            self._events.emit(Event.HISTORY_PRUNED, reason="took too long, and will be tried again")
            return False
        except Exception as error:
            self._due_at = began + AFTER_FAILURE_S
            if is_passing(error):
                raise
            self._events.emit(Event.WORKER_FAILED, exception=error, reason="pruning failed")
            return False
        now = time.monotonic()
        if done is None:
            self._due_at = now + EVERY_S * (0.9 + 0.2 * random.random())  # noqa: S311
            return False
        self._due_at = now + (now - began) * (1 / SHARE - 1)
        counts = {name: done[name] for name in ("archived", "failures", "history", "workers")}
        if any(counts.values()):
            self._events.emit(Event.HISTORY_PRUNED, of_queue=done["queue_name"], **counts)
        return bool(done["more"])

    async def _prune(self) -> Any:
        async with self._shared.connection() as connection, connection.transaction():
            await connection.execute(statement("prune_limit"), timeout=TIMEOUT_S)
            return await connection.fetchrow(statement("prune"), BATCH, timeout=TIMEOUT_S)
