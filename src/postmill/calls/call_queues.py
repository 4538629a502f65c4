"""Keeps a worker running for each call queue there is: it follows the table of call queues, and leaves the
work to the engine.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from postmill.calls.hint import Hint
from postmill.db.hot.outage import condition_of, is_missing, is_passing
from postmill.engine.engine import Engine
from postmill.model.calls.call_queue import CallQueue
from postmill.model.events import Event
from postmill.model.sqlstates import Condition
from postmill.service.outage import OutageBackoff
from postmill.service.service import Service, new_task
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.calls.call_handler import CallHandler
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.model.config.address import Address
    from postmill.service.events import Events
    from postmill.service.outage import Outage

FLOOR_S = 15.0
"""The longest rest, in seconds. A change that was not notified, as behind a pooler, holds this much later."""
CHANNEL = "postmill:call_queues"
"""Notified by the SQL function ``create_call_queue``."""


class CallQueues(Service):
    """The call queues of one process. All share one engine. When a queue comes or goes, another
    engine takes over, and the first finishes what it runs.
    """

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
        super().__init__(events)
        self._functions = functions
        self._shared = shared
        self._address = address
        self._make = make
        self._events = events
        self._backoff = OutageBackoff(outage)
        self._woken = asyncio.Event()
        self._engine: Engine | None = None
        self._handlers: dict[str, CallHandler] = {}
        self._names: tuple[str, ...] = ()
        """The queues that the engine works on."""
        self._ending: dict[asyncio.Task[None], Engine] = {}
        self._hint = Hint(shared, CHANNEL, self.wake)

    async def run_once(self) -> bool:
        """Follow the table. Never more is waiting."""
        self._woken.clear()
        try:
            rows = await self._shared.fetch(statement("call_queues_read"), self._functions)
        except Exception as error:
            await self._failed(error)
            return False
        self._backoff.worked()
        await self._follow([_queue(row) for row in rows])
        return False

    async def rest(self) -> None:
        """Until a queue changes, or the floor."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FLOOR_S):
                await self._woken.wait()

    def wake(self) -> None:
        """End the rest."""
        self._woken.set()

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
            self._woken.set()

    async def _failed(self, error: BaseException) -> None:
        if is_passing(error):
            await self._backoff.failed(error)
            self._woken.set()
        elif not (is_missing(error) or condition_of(error) is Condition.FORBIDDEN):
            raise error


def _queue(row: Any) -> CallQueue:
    headers = orjson.loads(row["headers"])
    return CallQueue(
        row["queue_name"],
        row["function_name"],
        row["url"],
        {
            name: value if isinstance(value, str) else orjson.dumps(value).decode()
            for name, value in headers.items()
        },
        row["max_attempts"],
        row["timeout_ms"] / 1000,
        tuple(row["secrets"]),
    )
