"""``bench settle``: what a settlement costs for one message, by the way it ends and the size of its batch.

The worker's own statements on a connection like the worker's own, without claims and handlers; and how much
slower a worker is that keeps results.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING
from uuid import UUID

from postmill.bench.arena import arena
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.bench.workers import Tally, nothing, running, something
from postmill.db.hot import shared_connection
from postmill.engine.settle.settlement import Settlement, Settlings, Statements
from postmill.engine.settle.statements import OWN
from postmill.model.queue.message import Claim, Message
from postmill.model.queue.outcome import CANCELLED, COMPLETED, Completed, Failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.bench.arena import Arena, Connection
    from postmill.handlers import Worker
    from postmill.model.config.address import Address
    from postmill.model.queue.outcome import Outcome

SIZES = (10, 100, 1000)
"""Messages in a batch: a worker on a quiet queue, one that is busy, and the most in one statement."""
WORKER_ID = UUID(int=0)
_FAILURE = ("error", "ValueError", "no such order", "Traceback (most recent call last): ...")
WAYS: dict[str, Outcome] = {
    "retry": Failed(*_FAILURE, retry_after_s=60.0),
    "dead": Failed(*_FAILURE, retry_after_s=None, reason="failed 6 of 6 attempts"),
    "cancel": CANCELLED,
    "archive": COMPLETED,
    "delete": COMPLETED,
    "results": Completed('{"ok": true}'),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleOptions:
    """``messages`` are drained with and without results."""

    messages: int = 30_000
    payload_bytes: int = 100
    rounds: int = 5


async def settle(address: Address, options: SettleOptions, say: Callable[[str], None]) -> Report:
    """Each way and each size; then a worker that keeps results beside one that does not."""
    async with arena(address) as place:
        around = await environment(place.connection)
        figures: dict[str, float] = {}
        for way, outcome in WAYS.items():
            for size in SIZES:
                figures[f"{way}_us_{size}"] = await _cost_us(place, way, outcome, size, options)
            say(f"{way}: {figures[f'{way}_us_{SIZES[-1]}']:.1f} us a message in batches of {SIZES[-1]}")
        plain, kept = [], []
        for number in range(1, options.rounds + 1):
            plain.append(await _rate(place, nothing(place.shape.name), options))
            kept.append(await _rate(place, something(place.shape.name), options))
            say(f"round {number} of {options.rounds}: {plain[-1]:,.0f}/s, with results {kept[-1]:,.0f}/s")
    figures["results_ratio"] = median(kept) / median(plain)
    return Report(
        bench="settle",
        unit="us/message",
        value=figures["retry_us_1000"],
        reference_name="delete, in batches of 1000",
        reference=figures["delete_us_1000"],
        figures=figures,
        settings=asdict(options),
        environment=around,
    )


async def _cost_us(place: Arena, way: str, outcome: Outcome, size: int, options: SettleOptions) -> float:
    """The median over the rounds; the first statement of a session is planned, and not counted."""
    await place.fill(size * (options.rounds + 1), options.payload_bytes)
    statements = Statements(place.shape, WORKER_ID, archive=way != "delete", keep_results=way == "results")
    connection = await shared_connection.connect(place.address, "bench")
    costs, last = [], 0
    try:
        for _ in range(options.rounds + 1):
            settlement = await _held(place, last, outcome, size)
            costs.append(await _timed(connection, statements, settlement))
            last = settlement.messages[-1].msg_id
    finally:
        await connection.close()
    return median(costs[1:]) / size * 1e6


async def _held(place: Arena, above: int, outcome: Outcome, size: int) -> Settlement:
    rows = await place.connection.fetch(place.sql("bench_hold"), above, size)
    claim = Claim(0, datetime.now(UTC), 0.0)
    pairs = [
        (
            Message(place.shape.name, row["msg_id"], row["read_ct"], row["vt_us"], 0, "", None, 0, 0, claim),
            outcome,
        )
        for row in rows
    ]
    return Settlement(Settlings(OWN).find(outcome), list(pairs), [], [])


async def _timed(connection: Connection, statements: Statements, settlement: Settlement) -> float:
    text, arguments = statements.call(settlement)
    started = perf_counter()
    row = await connection.fetchrow(text, *arguments)
    spent = perf_counter() - started
    assert row is not None  # noqa: S101
    assert len(row["settled"]) == len(settlement.pairs)  # noqa: S101 - else it is not what was measured
    return spent


async def _rate(place: Arena, handler: Worker, options: SettleOptions) -> float:
    await place.fill(options.messages, options.payload_bytes)
    async with running(place.address, handler) as engine:
        started = perf_counter()
        await Tally(engine).reach(options.messages)
        return options.messages / (perf_counter() - started)
