"""Weathers an outage of the database: waits longer each time, and says once that it is gone and once that it
is back.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.db.outage import is_passing
from postmill.model.backoff import Backoff
from postmill.model.events import Event

if TYPE_CHECKING:
    from postmill.engine.journal import Journal


class Outage:
    """Shared by the services of a worker, so that a lost server is one line in the log, not one a service."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._since: float | None = None

    def over(self) -> None:
        """A statement succeeded."""
        if self._since is not None:
            lasted, self._since = time.monotonic() - self._since, None
            self._journal.say(Event.DATABASE_BACK, after_s=round(lasted, 1))

    def began(self, error: BaseException) -> None:
        """A statement failed. One that can't pass by itself is a bug or a broken schema: said each time, with
        its traceback.
        """
        if not is_passing(error):
            self._journal.say(Event.WORKER_FAILED, exception=error, reason=f"{type(error).__name__}: {error}")
        elif self._since is None:
            self._since = time.monotonic()
            self._journal.say(Event.DATABASE_LOST, reason=f"{type(error).__name__}: {error}".strip())


class Patience:
    """One service's waiting: back off after each failure, cut short by ``hurry``."""

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._backoff = Backoff(random.random)
        self.hurry = asyncio.Event()

    def worked(self) -> None:
        """Start over with short waits next time."""
        if self._backoff.failures:
            self._backoff.reset()
            self._outage.over()

    async def failed(self, error: BaseException) -> None:
        """Note the failure and wait: a worker never ends by itself because of its database."""
        self._outage.began(error)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.hurry.wait(), self._backoff.next_delay_s())
