"""Gives back the messages of dead workers: soon after a heartbeat has shown that one may be gone, and from
time to time.

Decides when to look. The database decides which workers are gone (``postmill.rescue``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from postmill.model.events import Event
from postmill.model.queue import silence
from postmill.service.timed import TimedService
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.maintain.maintained_worker import MaintainedWorker
    from postmill.service.events import Events

MAX_CLAIMS = 100
"""Claims that one rescue gives back at most. It is one transaction, and renewals wait for it: 100 keep it
short.
"""
SUSPICION_S = silence.LOCK_FREE_S + 0.1
"""Seconds until a worker whose lock is free is judged. A tenth more than the bound, so that the bound has
surely passed by the server's clock.
"""
LOOK_EVERY_S = 15.0
"""Seconds between two looks for what other workers hold. A claim may also belong to a worker that has
stopped, or whose row is gone, which no heartbeat sees. Such a claim was left behind before, so 15 s more do
no harm; and twenty idle workers stay below the 20 statements a second that are promised.
"""
NEVER_CUT = "-infinity"


class Rescuer(TimedService):
    """The rescues of one process."""

    def __init__(self, shared: SharedConnection, workers: Sequence[MaintainedWorker], events: Events) -> None:
        """``workers``: the workers of this process, which are left out. ``events``: the process's emitter."""
        super().__init__(events)
        self._shared = shared
        self._own_ids = [worker.worker_id for worker in workers]
        self._events = events
        self._in_doubt = False
        self.connected_since = NEVER_CUT
        """When this connection was made, by the server's clock. After a reconnect, wait this long before
        rescuing others' claims: they may have been disconnected too.
        """

    def doubt(self) -> None:
        """Another worker may be gone."""
        if not self._in_doubt:
            self._in_doubt, self._due_at = True, 0.0
            self.wake()

    async def run_once(self) -> bool:
        """One bounded rescue, if there is anything to rescue. Returns whether more is waiting."""
        now = time.monotonic()
        if not self._in_doubt:
            self._due_at = now + LOOK_EVERY_S
            row = await self._shared.fetchrow(statement("others_hold"), self._own_ids)
            if not row["held"]:
                return False
        self._in_doubt, self._due_at = False, now + LOOK_EVERY_S  # a doubt that comes meanwhile holds
        try:
            returned, suspects = await self._rescue()
        except BaseException:
            self.doubt()
            raise
        if returned >= MAX_CLAIMS:
            self.doubt()
        elif suspects:
            self._in_doubt, self._due_at = True, min(self._due_at, time.monotonic() + SUSPICION_S)
        return returned >= MAX_CLAIMS

    async def _rescue(self) -> tuple[int, int]:
        """How many claims were given back, and how many workers are suspected."""
        rows = await self._shared.fetch(statement("rescue"), MAX_CLAIMS, self.connected_since)
        returned = [row for row in rows if row["msg_ids"] is not None]
        for row in returned:
            self._events.emit(
                Event.CLAIMS_RESCUED,
                of_queue=row["queue_name"],
                dead_worker=str(row["worker_id"])[:8],
                messages=len(row["msg_ids"]),
            )
        return len(returned), len(rows) - len(returned)
