"""Keeps a connection of its own open to a direct address, for LISTEN only: beside a pooler, which passes no
notifications on.

Workers are told whether notifications reach them; while they don't, the workers poll. Only notifications use
this connection, so work goes on while it is down.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.client.asyncpg_connection import with_known_pooler
from postmill.db.hot.outage import is_passing, refuses_login
from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.claim.wakeups import Wakeups
from postmill.model.events import Event
from postmill.service.backoff import Backoff
from postmill.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.engine.worker import QueueWorker
    from postmill.model.config.address import Address
    from postmill.service.events import Events

NO_ECHO = "a notification to ourselves did not arrive"
CHECK_S = 30.0
"""Seconds between two checks of a connection on which only notifications arrive. 30 s: polls find messages
meanwhile, and the connection's owner pays one round trip.
"""


class Listener(Service):
    """Notifications for ``workers``."""

    def __init__(self, direct: Address, workers: Sequence[QueueWorker], events: Events) -> None:
        super().__init__(events)
        self._events = events
        self._address = direct
        self._workers = workers
        self._shared = SharedConnection(direct, "listen")
        self._wakeups = Wakeups(self._shared)
        for worker in workers:
            self._wakeups.subscribe(worker.claimer, worker.handler.options.queue)
        self._wakeups.on_cut.append(self.wake)
        self._backoff = Backoff(random.random)
        self._news = asyncio.Event()
        self._works: bool | None = None

    async def run_once(self) -> bool:
        """Check that notifications arrive, and open a new connection if needed. Never raises."""
        self._news.clear()
        try:
            trouble = await self._trouble()
        except Exception as error:
            if not is_passing(error) and not refuses_login(error):
                self._events.emit(Event.WORKER_FAILED, exception=error, reason=f"listen_url: {error}")
            trouble = f"the listen_url can't be reached: {type(error).__name__}: {error}"
        if trouble is None:
            self._backoff.reset()
        self._tell(trouble)
        return False

    async def rest(self) -> None:
        """Wait until the connection ends, or it is time to check it."""
        with suppress(TimeoutError):
            pause_s = CHECK_S if self._works else self._backoff.next_delay_s()
            async with asyncio.timeout(pause_s):
                await self._news.wait()

    def wake(self) -> None:
        """See :class:`Service`: the connection has ended."""
        self._news.set()

    def recover(self) -> None:
        """See :class:`Service`: the state of the connection is not known, so it is opened anew."""
        self._works = None

    async def stop(self) -> None:
        """As :meth:`Service.stop`, and close the connection."""
        await super().stop()
        await self._shared.close()

    async def _trouble(self) -> str | None:
        """Why notifications don't arrive; None when they do."""
        if not self._works and (await with_known_pooler(self._address)).pooled:
            return "the listen_url is a pooler too"
        arrive = await (self._wakeups.check() if self._works else self._wakeups.begin())
        return None if arrive else NO_ECHO

    def _tell(self, trouble: str | None) -> None:
        """Tell the workers and the log once for each change."""
        works = trouble is None
        if works == self._works:
            return
        self._works = works
        for worker in self._workers:
            worker.claimer.notified = works
        if trouble is not None:
            say_polling(self._workers, trouble)


def say_polling(workers: Sequence[QueueWorker], reason: str) -> None:
    """Log that these workers poll, and why."""
    for worker in workers:
        worker.events.emit(Event.WORKER_POLLING, reason=reason)
