"""``bench drain``: how fast a worker whose handler does nothing empties a queue, beside the raw limit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from postmill.bench import raw
from postmill.bench.arena import arena
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.bench.rounds import alternate
from postmill.bench.workers import Tally, nothing, running
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.bench.arena import Arena
    from postmill.model.config.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainOptions:
    """``batch``: messages given to the handler in one call; None calls it once a message."""

    messages: int = 200_000
    payload_bytes: int = 100
    on_success: Literal["delete", "archive"] = "delete"
    batch: int | None = None
    rounds: int = 5


async def drain(address: Address, options: DrainOptions, say: Callable[[str], None]) -> Report:
    """Raw and worker take turns on the same messages; the medians are compared."""
    async with arena(address) as place:
        around = await environment(place.connection)

        async def limit() -> float:
            await place.fill(options.messages, options.payload_bytes)
            return await raw.drain(place)

        async def worker() -> float:
            await place.fill(options.messages, options.payload_bytes)
            return await work(place, options)

        reference, value = await alternate(options.rounds, limit, worker, say)
    return Report(
        bench="drain",
        unit="messages/s",
        value=value,
        reference_name="claim 500, delete by id, one asyncpg connection",
        reference=reference,
        settings=asdict(options),
        environment=around,
    )


async def work(place: Arena, options: DrainOptions) -> float:
    """Messages a second, from the moment the worker may claim to the last settled message. Connecting does
    not count.
    """
    handler = nothing(place.shape.name, options.on_success, options.batch)
    async with running(place.address, handler) as engine:
        tally = Tally(engine)
        began = perf_counter()
        await tally.reach(options.messages)
        took_s = perf_counter() - began
    if await place.connection.fetchval(place.sql("bench_left")):
        raise PostmillError("Messages were left in the queue.", why="Something else works on it.")
    return options.messages / took_s
