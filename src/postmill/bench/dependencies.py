"""``bench dependencies``: how fast a worker drains pairs of messages, of which the second waits for the
first, beside as many plain messages.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from postmill.bench.arena import arena
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.bench.rounds import alternate
from postmill.bench.workers import Tally, nothing, running
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.bench.arena import Arena
    from postmill.model.config.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class DependenciesOptions:
    """``pairs``: twice as many messages are drained."""

    pairs: int = 20_000
    payload_bytes: int = 100
    rounds: int = 5


async def dependencies(address: Address, options: DependenciesOptions, say: Callable[[str], None]) -> Report:
    """Plain messages and pairs take turns; their medians are compared."""
    async with arena(address) as place:
        around = await environment(place.connection)

        async def plain() -> float:
            await place.fill(options.pairs * 2, options.payload_bytes)
            return await _rate(place, options)

        async def pairs() -> float:
            await place.empty()
            await place.connection.fetch(
                statement("bench_fill_pairs"), place.shape.name, options.pairs, options.payload_bytes
            )
            await place.connection.execute(place.sql("bench_vacuum"))
            return await _rate(place, options)

        reference, value = await alternate(options.rounds, plain, pairs, say)
    return Report(
        bench="dependencies",
        unit="messages/s",
        value=value,
        reference_name="plain messages",
        reference=reference,
        settings=asdict(options),
        environment=around,
    )


async def _rate(place: Arena, options: DependenciesOptions) -> float:
    async with running(place.address, nothing(place.shape.name)) as engine:
        tally, began = Tally(engine), perf_counter()
        await tally.reach(options.pairs * 2)
        return options.pairs * 2 / (perf_counter() - began)
