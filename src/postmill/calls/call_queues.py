"""Keeps a worker running for each call queue there is: it follows the table of call queues, and leaves the
work to the engine.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from postmill.calls.call_queue_reads import queue_of
from postmill.db.hot.looking_service import FLOOR_S, RARELY_S, LookingService
from postmill.engine.engine import Engine
from postmill.model.events import Event
from postmill.service.service import new_task
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.calls.call_handler import CallHandler
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.model.calls.call_queue import CallQueue
    from postmill.model.config.address import Address
    from postmill.service.events import Events
    from postmill.service.outage import Outage


class CallQueues(LookingService):
    """The call queues of one process. All share one engine. When a queue comes or goes, another
    engine takes over, and the first finishes what it runs.
    """

    channel = "postmill:call_queues"
    """Notified by the SQL function ``create_call_queue``."""

    def __init__(
        self,
        shared: SharedConnection,
        address: Address,
        make: Callable[[CallQueue], CallHandler],
        events: Events,
        outage: Outage,
        *,
        functions: bool,
    ) -> None:
        """``functions``: whether call queues of functions run here too."""
        super().__init__(shared, events, outage)
        self._functions = functions
        self._address = address
        self._make = make
        self._engine: Engine | None = None
        self._handlers: dict[str, CallHandler] = {}
        self._names: tuple[str, ...] = ()
        """The queues that the engine works on."""
        self._ending: dict[asyncio.Task[None], Engine] = {}

    async def _look(self) -> bool:
        """Follow the table."""
        rows = await self._shared.fetch(statement("call_queues_read"), self._functions)
        await self._follow([queue_of(row) for row in rows])
        self._rest_s = self._floor_s
        return False

    @property
    def _floor_s(self) -> float:
        return RARELY_S if self._listens else FLOOR_S

    def _say_refused(self, error: BaseException) -> None:
        """The caller of this process says it: it uses the same schema with the same rights."""

    async def drain(self) -> None:
        """End after what runs, within the engine's own grace. :meth:`stop` comes first."""
        self.retire()
        if self._ending:
            await asyncio.wait(self._ending)

    def force(self) -> None:
        """Cut what runs."""
        for engine in self._ending.values():
            engine.force()

    @property
    def running(self) -> int:
        """Messages whose calls run now."""
        engines = [*self._ending.values(), *([] if self._engine is None else [self._engine])]
        return sum(engine.running for engine in engines)

    async def _follow(self, queues: Sequence[CallQueue]) -> None:
        names = tuple(queue.queue for queue in queues)
        if names == self._names:
            for queue in queues:
                self._handlers[queue.queue].queue = queue
            return
        self.retire()
        self._handlers = {queue.queue: self._make(queue) for queue in queues}
        if queues and not self.is_over():
            self._engine = Engine(list(self._handlers.values()), self._address)
            self._engine.on_over.append(self._over)
            await self._engine.start()
        self._names = names
        self._events.emit(Event.CALL_QUEUES_CHANGED, queues=", ".join(names) or "none")

    def retire(self) -> None:
        """Let the engine finish what it runs, and take no more."""
        engine, self._engine, self._names = self._engine, None, ()
        if engine is not None:
            engine.on_over.clear()
            task = new_task(engine.stop())
            self._ending[task] = engine
            task.add_done_callback(lambda ended: self._ending.pop(ended, None))

    def _over(self) -> None:
        """The engine can't go on: another one follows. One that an operator has drained stays away until the
        call queues change.
        """
        if self._engine is not None and self._engine.failure is not None:
            self._names = ("",)
            self.wake()
