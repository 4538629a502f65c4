"""``bench reads``: what people look at (queues' counts, one's running messages) beside counting all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING
from uuid import uuid4

from postmill.bench.arena import Arena, made
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.claim.lanes import QueueLanes
from postmill.model.queue.worker_options import WorkerOptions
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from postmill.model.config.address import Address
    from postmill.model.queue.queue_name import QueueShape

ESTIMATED, WHOLE = (False,), (True,)
"""The last argument of ``read_queues``."""
RUNNING = 100
"""Messages that run in the queue whose running messages are listed: ten workers with the default of ten
slots.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadsOptions:
    """``queues`` queues of ``messages`` messages each; every read is made ``reads`` times."""

    queues: int = 100
    messages: int = 100_000
    reads: int = 20
    payload_bytes: int = 100


async def reads(address: Address, options: ReadsOptions, say: Callable[[str], None]) -> Report:
    """Medians of ``reads`` readings, as ``postmill queue list`` and ``postmill message list`` make them."""
    async with _filled(address, options, say) as places:
        place = places[0]
        around = await environment(place.connection)
        await _hold(place)
        overview = statement("read_queues")
        overview_ms = await _median_ms(place, options.reads, overview, None, *ESTIMATED)
        whole_ms = await _median_ms(place, 1, overview, None, *WHOLE)
        running = statement("read_messages")
        running_ms = await _median_ms(place, options.reads, running, place.shape.name, "running", 50, None)
    return Report(
        bench="reads",
        unit="ms",
        value=overview_ms,
        reference_name="the same, every message counted",
        reference=whole_ms,
        figures={"overview_ms": overview_ms, "running_ms": running_ms},
        settings=asdict(options),
        environment=around,
    )


@asynccontextmanager
async def _filled(
    address: Address, options: ReadsOptions, say: Callable[[str], None]
) -> AsyncIterator[list[Arena]]:
    async with made(address, options.queues) as places:
        for number, place in enumerate(places, start=1):
            await place.fill(options.messages, options.payload_bytes)
            if number % 10 == 0 or number == options.queues:
                say(f"{number} of {options.queues} queues filled")
        yield places


async def _hold(place: Arena) -> None:
    """Claim some messages, as a worker does."""

    async def shape() -> QueueShape:
        return place.shape

    shared = SharedConnection(place.address, "bench")
    lanes = QueueLanes(
        shared, uuid4(), WorkerOptions(queue=place.shape.name, visibility_timeout=3600), shape, _leave
    )
    try:
        await lanes.begin()
        await lanes.ahead(RUNNING)
    finally:
        await shared.close()


def _leave(*_: object) -> None:
    """The messages stay claimed: nothing handles them."""


async def _median_ms(place: Arena, times: int, text: str, *arguments: object) -> float:
    taken = []
    for _ in range(times):
        began = perf_counter()
        await place.connection.fetch(text, *arguments)
        taken.append((perf_counter() - began) * 1000)
    return median(taken)
