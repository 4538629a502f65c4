"""Checks that no lease is renewed without a reason: each held message has a slot, waits for one, or has an
outcome on its way.

A message may lose its place where a part of the worker breaks. It would be renewed for ever and never run.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.model.events import Event
from postmill.model.queue.outcome import LOST, RELEASED
from postmill.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from postmill.model.queue.message import HeldMessages, Message
    from postmill.model.queue.outcome import Outcome
    from postmill.service.events import Events


class Audit(Service):
    """The account of one worker. A message without a place is given up: one that was never begun goes back to
    the queue at once, and any other counts as a lost lease.
    """

    def __init__(
        self,
        held_messages: HeldMessages,
        places: Callable[[], Iterable[Message]],
        settle: Callable[[Message, Outcome], None],
        lease_s: float,
        events: Events,
    ) -> None:
        """``places``: every message that has a place."""
        super().__init__(events)
        self._held = held_messages
        self._places = places
        self._settle = settle
        self._every_s = lease_s / 4  # so that the lease of a message without a place is renewed once at most
        self._events = events
        self._asked = asyncio.Event()

    async def run_once(self) -> bool:
        """Compare the renewed messages with those that have a place. There is no ``await`` in between: every
        step that moves a message from one place to another is done without one.
        """
        self._asked.clear()
        places = set(map(id, self._places()))
        homeless = [message for message in self._held.held if id(message) not in places]
        for message in homeless:
            self._settle(message, LOST if message.started else RELEASED)
        if homeless:
            ids = [message.msg_id for message in homeless]
            reason = f"messages were held without a slot or an outcome, and are given up: {ids[:20]}"
            self._events.emit(Event.SERVICE_FAILED, service=self.name, reason=reason)
        return False

    async def rest(self) -> None:
        """Until a part of the worker broke, or a quarter of a lease has passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._every_s):
                await self._asked.wait()

    def wake(self) -> None:
        """See :class:`Service`."""
        self._asked.set()
