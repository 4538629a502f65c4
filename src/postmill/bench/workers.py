"""A worker in this process, for a benchmark: the engine, a handler as a user would write it, and a tally."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from postmill.engine.engine import Engine
from postmill.handlers import Worker
from postmill.model.events import Event
from postmill.model.queue.worker_options import WorkerOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.engine.claim.lanes import QueueLanes
    from postmill.engine.handler import Handler
    from postmill.engine.settle.settlement import Settlement
    from postmill.model.config.address import Address


@asynccontextmanager
async def running(address: Address, handler: Handler) -> AsyncIterator[Engine]:
    """The worker claims when the block begins, and has settled everything it held when the block ends."""
    engine = Engine([handler], address)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.stop("benchmark ended")


def nothing(
    queue: str, on_success: Literal["delete", "archive"] = "delete", batch: int | None = None
) -> Worker:
    """The handler: takes the decoded payload, does nothing. Everything else is the worker's default."""
    function = _do_nothing if batch is None else _do_nothing_at_once
    return Worker(WorkerOptions(queue=queue, on_success=on_success, batch=batch), function)


def something(queue: str) -> Worker:
    """The same with a result that is kept."""
    return Worker(WorkerOptions(queue=queue, on_success="delete", keep_results=True), _return_something)


class Tally:
    """Counts what an engine's only worker has completed since the tally was made."""

    def __init__(self, engine: Engine) -> None:
        [worker] = engine.workers
        self.lanes: QueueLanes = worker.claimer.lanes
        """How the worker claims, with its own counts."""
        self.completed = 0
        self._goal = 0
        self._reached = asyncio.Event()
        worker.settler.on_settled.append(self._settled)

    async def reach(self, completed: int) -> None:
        """Wait until this number of messages is completed."""
        self._goal = completed
        self._reached.clear()
        if self.completed < completed:
            await self._reached.wait()

    def _settled(self, settlement: Settlement, ids: list[int]) -> None:
        if settlement.event is Event.MESSAGE_COMPLETED:
            self.completed += len(ids)
            if self.completed >= self._goal:
                self._reached.set()


async def _do_nothing(payload: dict[str, Any]) -> None:
    pass


async def _return_something(payload: dict[str, Any]) -> dict[str, bool]:
    return {"ok": True}


async def _do_nothing_at_once(payloads: list[dict[str, Any]]) -> None:
    pass
