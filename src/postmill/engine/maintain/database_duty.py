"""A duty of the heartbeat's thread that has the database do a bounded batch of work from time to time: claims
and settlements do not wait for it, and renewals hardly do.

It decides when. The database decides what is to be done, and which process does it.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from postmill.db.hot.outage import is_passing
from postmill.model.events import Event
from postmill.service.timed import TimedService

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.service.events import Events

SHARE = 0.2
"""The share of the time that a duty takes while more is waiting. A fifth: the heartbeat's connection has more
important work.
"""


class DatabaseDuty(TimedService):
    """One duty of one process. What the database refuses is reported, and no reason to end the process: an
    operator may have to mend it.
    """

    name_of_work: ClassVar[str]
    """What a report says has failed."""

    def __init__(self, shared: SharedConnection, events: Events) -> None:
        super().__init__(events)
        self._shared = shared
        self._events = events

    async def run_once(self) -> bool:
        """One batch. Returns whether more is waiting. Raises only temporary errors of the database, which the
        caller waits out.
        """
        began = time.monotonic()
        try:
            more = await self._batch()
        except Exception as error:
            passes = is_passing(error)
            self._due_at = began + self._pause_after(passes=passes)
            if passes:
                raise
            self._events.emit(Event.WORKER_FAILED, exception=error, reason=f"{self.name_of_work} failed")
            return False
        if more:
            now = time.monotonic()
            self._due_at = now + (now - began) * (1 / SHARE - 1)
        return more

    @abstractmethod
    async def _batch(self) -> bool:
        """One batch. Returns whether to go on soon; otherwise it has set when it is due."""

    @abstractmethod
    def _pause_after(self, *, passes: bool) -> float:
        """Seconds until the next try after a failure; ``passes``: whether it passes by itself."""
