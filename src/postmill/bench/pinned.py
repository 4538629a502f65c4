"""``bench pinned``: does a worker keep its pace while an old transaction keeps vacuum from removing any row?

A transaction that is left open pins the horizon: every row that dies stays in the table and its indexes.
Here such a transaction is open while messages are sent and worked on at a steady rate.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from postmill.bench.arena import arena, connect
from postmill.bench.environment import environment
from postmill.bench.producer import producing
from postmill.bench.report import Report
from postmill.bench.workers import Tally, nothing, running
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from postmill.bench.arena import Arena
    from postmill.bench.producer import Producer
    from postmill.model.config.address import Address

Case = Literal["steady", "burst", "dead", "waiting"]
MESSAGES: dict[Case, int] = {"steady": 0, "burst": 100_000, "dead": 1_000_000, "waiting": 100_000}
"""How many by default: of the burst, dead before the start, delayed."""
STEP_S = 1.0
"""The longest time between two readings, in seconds: often enough to see a change within the run, too rarely
to disturb it.
"""
WINDOW = 30
"""The first and the last 30 readings are compared: half a minute each with the longest step, so that one slow
second does not decide.
"""
MIN_STEPS = 4 * WINDOW
"""A run has at least this many readings, so that the two windows which are compared lie far apart."""
WARM_UP = 2
"""Steps before the first reading that counts: connections are opened and statements prepared meanwhile."""
SLICES = 12
"""The report shows the claim time of twelve equal parts of the run: enough to see whether it grows, few
enough to read in one row.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedOptions:
    """``rate`` in messages per second; ``messages`` None: the case's default."""

    case: Case = "steady"
    seconds: float = 120.0
    rate: float = 5_000.0
    messages: int | None = None
    payload_bytes: int = 100

    @property
    def many(self) -> int:
        """Messages that the case is about."""
        return MESSAGES[self.case] if self.messages is None else self.messages

    @property
    def step_s(self) -> float:
        """Seconds between two readings: one, in a short run less."""
        return min(STEP_S, self.seconds / MIN_STEPS)


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one moment."""

    at: float
    sent: int
    completed: int
    claims: int
    claiming_s: float

    def rate_until(self, later: Reading) -> float:
        """Messages completed per second."""
        return (later.completed - self.completed) / (later.at - self.at)

    def claim_ms_until(self, later: Reading) -> float:
        """The mean time of a claim."""
        return (later.claiming_s - self.claiming_s) * 1000 / max(1, later.claims - self.claims)


async def pinned(address: Address, options: PinnedOptions, say: Callable[[str], None]) -> Report:
    """``burst`` compares a backlog's drain before and under the pin; the others the two ends of a run."""
    async with arena(address) as place:
        around = await environment(place.connection)
        measure = _burst if options.case == "burst" else _ends
        value, name, reference, readings = await measure(place, options, say)
    return Report(
        bench="pinned",
        unit="messages/s",
        value=value,
        reference_name=name,
        reference=reference,
        figures=_figures(readings),
        settings=asdict(options) | {"messages": options.many},
        environment=around,
    )


Found = tuple[float, str, float, "list[Reading]"]


async def _ends(place: Arena, options: PinnedOptions, say: Callable[[str], None]) -> Found:
    async with pin(place):
        await _prepare(place, options)
        async with running(place.address, nothing(place.shape.name)) as engine:
            readings = await _steady(place, Tally(engine), options, say)
    first, last = readings[: WINDOW + 1], readings[-WINDOW - 1 :]
    name = f"first {WINDOW * options.step_s:g} s of the same run"
    return last[0].rate_until(last[-1]), name, first[0].rate_until(first[-1]), readings


async def _burst(place: Arena, options: PinnedOptions, say: Callable[[str], None]) -> Found:
    async with running(place.address, nothing(place.shape.name)) as engine:
        tally = Tally(engine)
        before = await _drain_burst(place, tally, options)
        say(f"burst before the pin: {before:,.0f}/s")
        async with pin(place):
            readings = await _steady(place, tally, options, say)
            under = await _drain_burst(place, tally, options)
            say(f"burst under the pin: {under:,.0f}/s")
    return under, "the same burst before the pin", before, readings


async def _prepare(place: Arena, options: PinnedOptions) -> None:
    if options.case == "dead":
        await place.connection.execute(place.sql("bench_fill"), options.many, options.payload_bytes)
        await place.connection.execute(place.sql("bench_clear"))
    elif options.case == "waiting":
        await place.connection.execute(place.sql("bench_waiting"), options.many)


async def _steady(
    place: Arena, tally: Tally, options: PinnedOptions, say: Callable[[str], None]
) -> list[Reading]:
    """Readings while messages are sent at the rate; ends when all of them are completed."""
    before = tally.completed
    readings: list[Reading] = []
    async with producing(place, options.rate, options.payload_bytes) as producer:
        await asyncio.sleep(WARM_UP * options.step_s)
        began = perf_counter()
        while not readings or readings[-1].at - began < options.seconds:
            readings.append(_read(producer, tally, before))
            if len(readings) % WINDOW == 0:
                say(_told(began, readings))
            await asyncio.sleep(began + len(readings) * options.step_s - perf_counter())
    await tally.reach(before + producer.sent)
    return readings


def _read(producer: Producer, tally: Tally, before: int) -> Reading:
    lanes = tally.lanes
    return Reading(perf_counter(), producer.sent, tally.completed - before, lanes.claims, lanes.claiming_s)


def _told(began: float, readings: Sequence[Reading]) -> str:
    first, last = readings[-WINDOW], readings[-1]
    return (
        f"{last.at - began:.0f} s: {first.rate_until(last):,.0f}/s, {last.sent - last.completed:,} behind, "
        f"claim {first.claim_ms_until(last):.2f} ms"
    )


async def _drain_burst(place: Arena, tally: Tally, options: PinnedOptions) -> float:
    """A backlog that appears at once; from its commit to the last settled message."""
    goal = tally.completed + options.many
    await place.connection.execute(place.sql("bench_fill"), options.many, options.payload_bytes)
    began = perf_counter()
    await tally.reach(goal)
    return options.many / (perf_counter() - began)


@asynccontextmanager
async def pin(place: Arena) -> AsyncIterator[None]:
    """A transaction with a snapshot and an id of its own, idle while the block runs."""
    connection = await connect(place.address)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetchval(statement("bench_pin"))
            yield
    finally:
        connection.terminate()


def _figures(readings: Sequence[Reading]) -> dict[str, float]:
    """The largest backlog, and the claim time in each part of the run."""
    marks = [readings[round(part * (len(readings) - 1) / SLICES)] for part in range(SLICES + 1)]
    return {
        "sent_per_s": (readings[-1].sent - readings[0].sent) / (readings[-1].at - readings[0].at),
        "backlog_max": max(reading.sent - reading.completed for reading in readings),
        **{
            f"claim_ms_{number}": earlier.claim_ms_until(later)
            for number, (earlier, later) in enumerate(pairwise(marks), 1)
        },
    }
