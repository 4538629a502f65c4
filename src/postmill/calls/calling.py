"""All that makes calls in one process: its connections, clients and services, and how they end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from postmill.calls.answers import Answers
from postmill.calls.call_handler import CallHandler
from postmill.calls.call_queue_reads import CallQueueReads
from postmill.calls.call_queues import CallQueues
from postmill.calls.caller import Caller
from postmill.calls.outbound import Outbound
from postmill.calls.project_secrets import ProjectSecrets
from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.model.events import Event
from postmill.service.events import Events
from postmill.service.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from postmill.model.calls.address_guard import AddressGuard
    from postmill.model.calls.call_queue import CallQueue, FunctionHost
    from postmill.model.config.address import Address
    from postmill.service.service import Service

GRACE_S = 10.0
"""How long calls may run on after a stop was asked for, in seconds: twice the usual time limit of a call."""
FLUSH_S = 5.0
"""How long a stop waits for answers to be written, in seconds: as long as a restart of the database takes."""


class Calling:
    """The calls of one process. ``start`` once, ``stop`` once."""

    def __init__(
        self,
        address: Address,
        guard: AddressGuard,
        host: FunctionHost | None,
        secrets: Callable[[], Mapping[str, str]],
    ) -> None:
        """As :class:`Outbound`; ``secrets`` reads the values of all secrets that are kept here."""
        self.events = Events(function="postmill", queue="*")
        outage = Outage(self.events, is_passing)
        self._claims = SharedConnection(address, "calls")
        self._settlements = SharedConnection(address, "answers")
        self._outbound = Outbound(guard, host, ProjectSecrets(secrets))
        self._reads = CallQueueReads(self._claims)
        self._forced = asyncio.Event()
        self._answers = Answers(self._settlements, self.events, outage)
        self.caller = Caller(self._claims, self._outbound, self._answers, self.events, outage)
        self._answers.on_put_off.append(self.caller.wake)
        self.queues = CallQueues(
            self._claims, address, self._handler, self.events, outage, functions=host is not None
        )

    @property
    def services(self) -> tuple[Service, ...]:
        """The background services."""
        return self._answers, self.caller, self.queues

    @property
    def trouble(self) -> str | None:
        """Why calls are not made just now; None when they are."""
        return next((service.trouble for service in self.services if service.trouble is not None), None)

    @property
    def running(self) -> int:
        """Calls that run now."""
        return self.caller.running + self.queues.running

    def start(self) -> None:
        """Begin."""
        for service in self.services:
            service.start()
        self.events.emit(Event.CALLS_STARTED)

    def ask_to_stop(self) -> None:
        """Begin no further call: what these would reach may end before :meth:`stop` is called."""
        self.caller.ask_to_stop()
        self.queues.ask_to_stop()
        self.queues.retire()

    async def stop(self) -> None:
        """Begin no further call, let those that run end, write their answers, and close everything."""
        await self.queues.stop_within(FLUSH_S)
        await self.caller.stop_within(FLUSH_S)
        await self.queues.drain()
        await self.caller.drain(GRACE_S, self._forced)
        await self._answers.drain(FLUSH_S)
        await self._outbound.close()
        for shared in (self._claims, self._settlements):
            await shared.close()

    def force(self) -> None:
        """Cut what runs, in a stop that is under way."""
        self._forced.set()
        self.queues.force()

    def _handler(self, queue: CallQueue) -> CallHandler:
        return CallHandler(queue, self._reads, self._outbound)
