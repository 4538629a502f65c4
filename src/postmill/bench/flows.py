"""``bench flows``: steps a second through a worker, of graph flows and of durable functions, beside a plain
drain; and what single runs of many steps take.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from postmill.bench.arena import arena
from postmill.bench.environment import environment
from postmill.bench.flow_samples import chain, crawl, durable, durable_that_waits
from postmill.bench.report import Report
from postmill.bench.workers import Tally, nothing, running
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from postmill.bench.arena import Arena
    from postmill.engine.engine import Engine
    from postmill.flows.flow import Flow
    from postmill.flows.workflow import Workflow
    from postmill.model.config.address import Address

    Made: TypeAlias = Flow[Any] | Workflow[..., Any]
    Make: TypeAlias = Callable[[str], Made]

AT_A_TIME = 100
"""Runs of durable functions at a time, as the promise has it."""
WINDOW = 20
"""Items at once of the map with a window, as the promise has it."""
ITEM = "x" * 98
"""An item of the maps. 98 characters and two quotes: the 100 bytes that the promise has."""
LOOK_S = 0.005
"""Seconds between two looks whether a run waits, which is not measured. 5 ms: no load to speak of."""
REPLAYS = 5
"""Replays in one session, of which the middle one counts. 5: the first loads what later ones have there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowsOptions:
    """``runs`` of the chain of two steps; ``items`` of the maps; ``steps`` of the single runs."""

    runs: int = 10_000
    items: int = 10_000
    steps: int = 1_000
    durable_runs: int = 2_000


async def flows(address: Address, options: FlowsOptions, say: Callable[[str], None]) -> Report:
    """One part after the other, each on a queue of its own."""
    async with arena(address) as place:
        around = await environment(place.connection)
        await place.fill(2 * options.runs, len(ITEM))
        reference = await _drained(place, 2 * options.runs)
        say(f"plain: {reference:,.0f} messages/s")
    figures: dict[str, float] = {}
    value, figures["wal_bytes_per_step"] = await _chains(address, options.runs)
    say(f"chains of two steps: {value:,.0f} steps/s")
    for name, window in (("map10k_s", None), ("map10k_windowed_s", WINDOW)):
        figures[name] = await _map(address, options.items, window) * 10_000 / options.items
        say(f"{name}: {figures[name]:.2f}")
    figures["chain1000_ms_per_step"] = await _long_chain(address, options.steps)
    say(f"one chain: {figures['chain1000_ms_per_step']:.2f} ms a step")
    figures |= await _durable(address, options)
    return Report(
        bench="flows",
        unit="steps/s",
        value=value,
        reference_name="plain messages, the same worker",
        reference=reference,
        figures={"chain2_ratio": value / reference, **figures},
        settings=asdict(options),
        environment=around,
    )


async def _drained(place: Arena, messages: int) -> float:
    async with running(place.address, nothing(place.shape.name)) as engine:
        return await _rate(engine, messages)


async def _rate(engine: Engine, messages: int) -> float:
    tally, began = Tally(engine), perf_counter()
    await tally.reach(messages)
    return messages / (perf_counter() - began)


async def _chains(address: Address, runs: int) -> tuple[float, float]:
    """Steps a second, and bytes of WAL a step."""
    async with _flow(address, lambda name: chain(name, 2)) as (place, flow):
        await _start(place, runs)
        await place.connection.execute(place.sql("bench_vacuum"))
        before = await _wal(place)
        async with running(address, flow.handler()) as engine:
            rate = await _rate(engine, 2 * runs)
        return rate, (await _wal(place) - before) / (2 * runs)


async def _map(address: Address, items: int, window: int | None) -> float:
    """Seconds from the start of a run to its end."""
    async with _working(address, lambda name: crawl(name, window)) as (place, tally):
        return await _took(place, tally, items, [ITEM] * items)


async def _long_chain(address: Address, steps: int) -> float:
    """Milliseconds a step of one run, with nothing else to do."""
    async with _working(address, lambda name: chain(name, steps)) as (place, tally):
        return await _took(place, tally, steps, 0) * 1000 / steps


async def _durable(address: Address, options: FlowsOptions) -> dict[str, float]:
    async with _flow(address, lambda name: durable(name, AT_A_TIME)) as (place, flow):
        await _start(place, options.durable_runs, {"steps": 10})
        await place.connection.execute(place.sql("bench_vacuum"))
        before, began = await _wal(place), perf_counter()
        async with running(address, flow.handler()) as engine:
            await Tally(engine).reach(options.durable_runs)
            many_s = perf_counter() - began
        wal_bytes = await _wal(place) - before
    async with _working(address, lambda name: durable(name, AT_A_TIME)) as (place, tally):
        one_s = await _took(place, tally, 1, {"steps": options.steps})
    return {
        "durable_steps_per_s": 10 * options.durable_runs / many_s,
        "durable_wal_bytes_per_step": wal_bytes / (10 * options.durable_runs),
        "durable_single_ms_per_step": one_s * 1000 / options.steps,
        "replay1000_ms": await _replay(address, options.steps) * 1_000_000 / options.steps,
    }


async def _replay(address: Address, steps: int) -> float:
    """Seconds from a signal to the end of a run that has waited for it after so many steps."""
    async with _working(address, durable_that_waits) as (place, tally):
        return median([await _replayed(place, tally, steps) for _ in range(REPLAYS)])


async def _replayed(place: Arena, tally: Tally, steps: int) -> float:
    await _start(place, 1, {"steps": steps})
    while not await place.connection.fetchval(statement("bench_flows_wait"), place.shape.name):  # noqa: ASYNC110
        await asyncio.sleep(LOOK_S)
    began, ended = perf_counter(), tally.completed + 1
    await place.connection.execute(statement("bench_flows_signal"), place.shape.name)
    await tally.reach(ended)
    return perf_counter() - began


@asynccontextmanager
async def _working(address: Address, make: Make) -> AsyncIterator[tuple[Arena, Tally]]:
    """A flow, and a worker that runs it."""
    async with _flow(address, make) as (place, flow), running(address, flow.handler()) as engine:
        yield place, Tally(engine)


@asynccontextmanager
async def _flow(address: Address, make: Make) -> AsyncIterator[tuple[Arena, Made]]:
    """A flow of the name of a throw-away queue; it is known to the database."""
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(arena(address))
        flow = make(place.shape.name)
        for said in flow.handler().declarations:
            await place.connection.fetchrow(said.text, *said.arguments)
        try:
            yield place, flow
        finally:
            await place.connection.execute(statement("bench_flows_clear"), place.shape.name)


async def _start(place: Arena, runs: int, given: object = 0) -> None:
    text = msgspec.json.encode(given).decode()
    await place.connection.execute(statement("bench_flows_start"), place.shape.name, text, runs)


async def _took(place: Arena, tally: Tally, messages: int, given: object) -> float:
    """Seconds from the start of one run until the messages of all of it are settled: then it has ended."""
    began = perf_counter()
    await _start(place, 1, given)
    await tally.reach(messages)
    return perf_counter() - began


async def _wal(place: Arena) -> int:
    row = await place.connection.fetchrow(place.sql("bench_cost"))
    assert row is not None  # noqa: S101 - an aggregate has a row
    return int(row["wal_bytes"])
