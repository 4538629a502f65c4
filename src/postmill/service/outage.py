"""Waits out an outage of the database: longer each time, with one event when the database is lost and one
when it is back.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.model.events import Event
from postmill.service.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.service.events import Events


class Outage:
    """Shared by the services of a process, so that a lost server is one line in the log, not one a service.

    The heartbeat calls it from its thread, the others from the event loop.
    """

    def __init__(self, events: Events, is_passing: Callable[[BaseException], bool]) -> None:
        self._events = events
        self._is_passing = is_passing
        self._since: float | None = None
        self._turn = threading.Lock()

    def over(self) -> None:
        """A statement succeeded."""
        with self._turn:
            since, self._since = self._since, None
        if since is not None:
            self._events.emit(Event.DATABASE_BACK, after_s=round(time.monotonic() - since, 1))

    def began(self, error: BaseException) -> None:
        """A statement failed. An error that is not temporary is a bug or a broken schema: it is logged each
        time, with its traceback.
        """
        if not self._is_passing(error):
            self._events.emit(Event.WORKER_FAILED, exception=error, reason=f"{type(error).__name__}: {error}")
            return
        with self._turn:
            known, self._since = self._since is not None, self._since or time.monotonic()
        if not known:
            self._events.emit(Event.DATABASE_LOST, reason=f"{type(error).__name__}: {error}".strip())


class OutageBackoff:
    """One service's waits: longer after each failure, ended by ``hurry``."""

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._backoff = Backoff(random.random)
        self.failing = False
        """The last statement failed. Only then :meth:`worked` has something to do."""
        self.hurry = asyncio.Event()

    def worked(self) -> None:
        """Start over with short waits next time."""
        if self.failing:
            self.failing = False
            self._backoff.reset()
            self._outage.over()

    async def failed(self, error: BaseException) -> None:
        """Note the failure and wait: a worker never ends by itself because of its database."""
        self.failing = True
        self._outage.began(error)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._backoff.next_delay_s()):
                await self.hurry.wait()
