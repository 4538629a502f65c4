"""The shape of a service that looks into the database for what is due, does it, and rests until it is to look
again: after a notification, when another part of the process wakes it, or after its longest rest.

An outage is waited out. A schema or a right that is missing is said once, and asked for again. Notifications
are hints: behind a pooler none arrive, and the longest rest finds what one missed.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from postmill.db.hot.outage import condition_of, is_missing, is_passing
from postmill.model.sqlstates import Condition
from postmill.service.outage import OutageBackoff
from postmill.service.service import Service

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.service.events import Events
    from postmill.service.outage import Outage

FLOOR_S = 15.0
"""The longest rest where no notifications arrive, in seconds, unless a service has another: each process asks
four times a minute.
"""
QUIET_S = 30.0
"""The longest rest where they do arrive, in seconds. Twenty idle processes that claim messages, fire
schedules and make calls stay below the 20 statements a second that are promised.
"""
RARELY_S = 60.0
"""The longest rest where notifications arrive, in seconds, of a service whose work is rare and always told
of: call queues and operations are made by people.
"""


class LookingService(Service):
    """One such service of one process."""

    channel: ClassVar[str | None] = None
    """Where news for it is notified."""

    def __init__(self, shared: SharedConnection, events: Events, outage: Outage) -> None:
        super().__init__(events)
        self._shared = shared
        self._events = events
        self._backoff = OutageBackoff(outage)
        self._woken = asyncio.Event()
        self._rest_s = 0.0
        self._refused = False
        """Whether the last look was refused for a schema or a right that is missing."""
        self._listens = False
        """Whether notifications arrive now."""

    async def run_once(self) -> bool:
        """Look, and do what is due. Returns whether more may be due."""
        self._woken.clear()
        try:
            await self._listen()
            more = await self._look()
        except Exception as error:
            await self._failed(error)
            return False
        self._refused = False
        self._backoff.worked()
        return more

    async def rest(self) -> None:
        """Until it is woken, or what :meth:`_look` has left as ``_rest_s`` is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._rest_s):
                await self._woken.wait()

    def wake(self) -> None:
        """End the rest."""
        self._woken.set()

    @abstractmethod
    async def _look(self) -> bool:
        """One bounded batch. Returns whether more may be due; otherwise ``_rest_s`` is how long to rest."""

    @abstractmethod
    def _say_refused(self, error: BaseException) -> None:
        """Say that the database refuses what it does."""

    @property
    def _floor_s(self) -> float:
        return QUIET_S if self._listens else FLOOR_S

    def _told(self) -> None:
        """A notification has come, or the connection that would bring it has ended."""
        self.wake()

    async def _listen(self) -> None:
        """Hear of news on the connection that is open now. It is no statement where that is so already."""
        if self.channel is None or self._shared.address.pooled:
            return
        async with self._shared.connection() as connection:
            self._listens = not self._shared.address.pooled  # it is known once it is open
            if self._listens:
                await connection.add_listener(self.channel, self._heard)
                connection.add_termination_listener(self._cut)

    def _heard(self, *_notification: object) -> None:
        self._told()

    def _cut(self, *_connection: object) -> None:
        self._listens = False
        self._told()

    async def _failed(self, error: BaseException) -> None:
        self._rest_s = self._floor_s
        if is_passing(error):
            self._rest_s = 0.0
            await self._backoff.failed(error)
        elif not (is_missing(error) or condition_of(error) is Condition.FORBIDDEN):
            raise error
        elif not self._refused:
            self._refused = True
            self._say_refused(error)
