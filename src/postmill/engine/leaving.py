"""Looks whether a process with workers should leave by itself. It only says so: the engine stops as it does
on SIGTERM, so that what runs is finished and what was claimed in between goes back.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from postmill.db.hot.outage import is_passing
from postmill.service.outage import OutageBackoff
from postmill.service.timed import TimedService

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.worker import QueueWorker
    from postmill.model.config.lifetime import Lifetime
    from postmill.service.events import Events
    from postmill.service.outage import Outage

LOOK_S = 0.2
"""Seconds between two looks. 0.2 s: a job ends soon after its work, and a look costs one statement at most,
and that only while nothing runs.
"""
PAGE_BYTES = resource.getpagesize()


class Leaving(TimedService):
    """The look of one process at itself."""

    def __init__(
        self,
        _shared: SharedConnection,
        events: Events,
        outage: Outage,
        *,
        workers: Callable[[], Sequence[QueueWorker]],
        is_work_left: Callable[[], Awaitable[bool]],
        lifetime: Lifetime,
        leave: Callable[[str], object],
    ) -> None:
        super().__init__(events)
        self._workers = workers
        self._is_work_left = is_work_left
        self._lifetime = lifetime
        self._leave = leave
        self._backoff = OutageBackoff(outage)
        self._at_work_since: float | None = None
        self._busy_at = 0.0
        self._settled = 0
        self._is_worn = False

    async def run_once(self) -> bool:
        """One look. Returns False: the next is due after a rest."""
        now = time.monotonic()
        self._due_at = now + LOOK_S
        if self._at_work_since is None:
            self._at_work_since = self._busy_at = now
            if self._lifetime.on_started is not None:
                self._lifetime.on_started()
        settled = sum(worker.settler.settled for worker in self._workers())
        if settled != self._settled or not self._is_idle():
            self._settled, self._busy_at = settled, now
        self._look_at_wear(settled)
        reason = self._lifetime.ending(age_s=now - self._at_work_since, idle_s=now - self._busy_at)
        if reason is None and self._lifetime.until_empty and await self._is_empty():
            reason = "empty"
        if reason is not None:
            self._leave(reason)
        return False

    def _look_at_wear(self, settled: int) -> None:
        rss = 0 if self._lifetime.rss_bytes is None else memory_bytes()
        reason = self._lifetime.wear(settled=settled, rss_bytes=rss)
        if reason is None or self._is_worn:
            return
        self._is_worn = True
        if self._lifetime.on_worn is None:
            self._leave(reason)
        else:
            self._lifetime.on_worn(reason)

    def _is_idle(self) -> bool:
        return all(
            worker.claimer.rests is not None and not worker.dispatcher.held and not worker.settler.held
            for worker in self._workers()
        )

    async def _is_empty(self) -> bool:
        """The database is asked first: what was claimed before it answered is seen afterwards, in a claim
        that is under way or among what is held.
        """
        if not self._is_idle():
            return False
        try:
            is_left = await self._is_work_left()
        except Exception as error:
            if not is_passing(error):
                raise
            await self._backoff.failed(error)
            return False
        self._backoff.worked()
        return not is_left and self._is_idle()


def memory_bytes() -> int:
    """What this process takes now; where that is not told, the most that it took."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    except (OSError, IndexError, ValueError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
