"""``bench cost``: what one message costs the server: write-ahead log, dead rows, statements.

Log and rows are counted by the server, statements by the worker's own connections (claims and settlements;
the heartbeat sends one or two every few seconds, however many messages there are).
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from postmill.bench import raw
from postmill.bench.arena import arena
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.bench.workers import Tally, nothing, running
from postmill.model.errors import PostmillError
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.bench.arena import Arena
    from postmill.model.config.address import Address

COUNTED_WITHIN_S = 10.0
"""How long to wait for the counters of a session that has ended, in seconds. Postgres hands them in within
about a second; 10 s leaves room for a busy machine.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostOptions:
    """As for a drain."""

    messages: int = 50_000
    payload_bytes: int = 100


@dataclass(frozen=True, slots=True)
class Spent:
    """What the server has spent, in all or for one message."""

    wal_bytes: float
    dead_rows: float
    statements: float = 0.0


async def cost(address: Address, options: CostOptions, say: Callable[[str], None]) -> Report:
    """The raw limit, then a worker that deletes and one that archives, each on a queue filled anew."""
    async with arena(address) as place:
        around = await environment(place.connection)
        found = {}
        for way, work in {
            "raw": lambda: _raw(place, options),
            "delete": lambda: _work(place, options, "delete"),
            "archive": lambda: _work(place, options, "archive"),
        }.items():
            found[way] = await _spent(place, options, work)
            say(f"{way}: {found[way].wal_bytes:,.0f} bytes a message")
    figures = {
        f"{way}_{name}": value for way, spent in found.items() for name, value in asdict(spent).items()
    }
    return Report(
        bench="cost",
        unit="bytes of WAL/message",
        value=found["delete"].wal_bytes,
        reference_name="claim 500, delete by id, one asyncpg connection",
        reference=found["raw"].wal_bytes,
        figures=figures,
        settings=asdict(options),
        environment=around,
    )


async def _raw(place: Arena, options: CostOptions) -> int:
    await raw.drain(place)
    return 2 * -(-options.messages // raw.BATCH)


async def _work(place: Arena, options: CostOptions, on_success: Literal["delete", "archive"]) -> int:
    async with running(place.address, nothing(place.shape.name, on_success)) as engine:
        before = engine.statements
        await Tally(engine).reach(options.messages)
        return engine.statements - before


async def _spent(place: Arena, options: CostOptions, work: Callable[[], Awaitable[int]]) -> Spent:
    """What ``work``, which returns its statements, has spent on each message."""
    await place.fill(options.messages, options.payload_bytes)
    await place.connection.execute(statement("bench_flush"))
    [before] = await place.connection.fetch(place.sql("bench_cost"))
    statements = await work()
    try:
        async with asyncio.timeout(COUNTED_WITHIN_S):
            after = await _counted(place, before, options.messages)
    except TimeoutError:
        raise PostmillError(
            "The server has not counted every message.",
            why="Its statistics are switched off (track_counts), or something else works on the queue.",
        ) from None
    return Spent(
        (after["wal_bytes"] - before["wal_bytes"]) / options.messages,
        (after["dead_rows"] - before["dead_rows"]) / options.messages,
        statements / options.messages,
    )


async def _counted(place: Arena, before: Any, messages: int) -> Any:
    """The counters, once they contain the work of sessions that have just ended."""
    while True:
        await place.connection.execute(statement("bench_flush"))
        [after] = await place.connection.fetch(place.sql("bench_cost"))
        if all(after[name] - before[name] >= messages for name in ("claimed", "settled")):
            return after
        await asyncio.sleep(0.05)
