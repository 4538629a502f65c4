"""``bench schedules``: many schedules that are due in the same second, fired by several processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from postmill.bench.arena import arena
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postmill.bench.arena import Arena, Connection
    from postmill.model.config.address import Address

DUE_IN_S = 10.0
"""Seconds from the making of the schedules to their tick. 10 s: the processes, which are started after it,
have looked by then and know when to look again. A schedule that is made later than that look would be found
by the next one only, which says nothing of how fast it is fired.
"""
GIVE_UP_S = 300.0
"""Seconds after which the run is broken and ends with an error. A hundred times what it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulesOptions:
    """``schedules`` are all due at one moment."""

    schedules: int = 10_000
    processes: int = 5


async def schedules(address: Address, options: SchedulesOptions, say: Callable[[str], None]) -> Report:
    """The schedules, then the processes; the value counts from the tick to the last message."""
    async with arena(address) as place:
        around = await environment(place.connection)
        try:
            say(f"{options.schedules} schedules, {options.processes} processes")
            arguments = place.shape.name, options.schedules, DUE_IN_S
            await place.connection.execute(statement("bench_schedule"), *arguments)
            with ExitStack() as stack:
                await asyncio.gather(
                    *(_ready(stack.enter_context(_process(address))) for _ in range(options.processes))
                )
                took_s, fired = await _fired(place)
            say(f"{options.schedules} messages sent one by one")
            raw_s = await _sent(place, options.schedules)
        finally:
            await place.connection.execute(statement("bench_unschedule"), place.shape.name)
    return Report(
        bench="schedules",
        unit="s",
        value=took_s,
        reference_name="postmill.send as often, one connection",
        reference=raw_s,
        figures={"due_10000_s": took_s * 10_000 / options.schedules, "fired": float(fired)},
        settings=asdict(options),
        environment=around,
    )


async def _fired(place: Arena) -> tuple[float, int]:
    """Seconds from the tick to the last firing, and how many messages there are: one a schedule."""
    async with asyncio.timeout(GIVE_UP_S):
        while not await _all_fired(place.connection, place.shape.name):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.1)
    row = await place.connection.fetchrow(place.sql("bench_scheduled"), place.shape.name)
    assert row is not None  # noqa: S101 - an aggregate has a row
    return float(row["took_s"]), int(row["sent"])


async def _sent(place: Arena, messages: int) -> float:
    began = perf_counter()
    await place.connection.execute(statement("bench_send"), place.shape.name, messages)
    return perf_counter() - began


async def _all_fired(connection: Connection, queue: str) -> bool:
    return bool(await connection.fetchval(statement("bench_all_fired"), queue))


async def _ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None  # noqa: S101 - it has a pipe
    if not await asyncio.to_thread(process.stdout.readline):
        raise RuntimeError("a process that fires schedules has ended")


@contextmanager
def _process(address: Address) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "postmill.bench.scheduler_process"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None  # noqa: S101 - it has a pipe
        process.stdin.write(address.url + "\n")
        process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.communicate()
