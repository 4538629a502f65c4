"""Moves the jobs of one queue out of Supaworker's tables into a queue of Postmill, beside the worker that
runs them: all there are, then again after each insert, or when it was not told for a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.db.hot.looking_service import LookingService
from postmill.model.events import Event
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.service.events import Events
    from postmill.service.outage import Outage

BATCH = 500
"""Jobs of each table that are moved in one transaction. 500 take a few milliseconds: claims, which share the
connection, hardly wait.
"""


class Bridge(LookingService):
    """The bridge of one queue."""

    channel = "postmill:supaworker"
    """Notified by the triggers on both tables of jobs."""

    def __init__(
        self,
        shared: SharedConnection,
        events: Events,
        outage: Outage,
        *,
        queue: str,
        target: str,
        floor_s: float,
    ) -> None:
        """``queue`` of the jobs, ``target`` of their messages. ``floor_s``: the longest rest."""
        super().__init__(shared, events, outage)
        self._queue = queue
        self._target = target
        self._longest_s = floor_s

    @property
    def _floor_s(self) -> float:
        return self._longest_s

    async def _look(self) -> bool:
        moved = await self._shared.fetchrow(statement("supaworker_bridge"), self._queue, self._target, BATCH)
        self._rest_s = self._longest_s
        return bool(moved[0])

    def _say_refused(self, error: BaseException) -> None:
        reason = f"no job of queue {self._queue!r} can be moved here: {error}"
        self._events.emit(Event.SERVICE_FAILED, service=self.name, reason=reason)
