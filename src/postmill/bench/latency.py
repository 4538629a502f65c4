"""``bench latency``: from the commit of a send to the start of its handler on an idle worker; with ``result``
from the end of a handler to its result in the process that waits for it.

The sender is a process of its own. The clock (``perf_counter``, the same for all processes of a machine) is
read when the sender sends its COMMIT, when the server has confirmed it, and first thing in the handler. The
value counts from the confirmation: from then on there is a message. What the commit itself takes, with its
flush to disk, is the sender's; it is told beside it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from postmill.bench import raw
from postmill.bench.arena import arena
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.bench.workers import running
from postmill.handlers import worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postmill.bench.arena import Arena
    from postmill.model.config.address import Address

WARM_UP = 10
"""The first 10 messages are sent but not counted: the first uses prepare the statements, and Postgres makes a
general plan after five executions.
"""
LOST_AFTER_S = 60.0
"""How long to wait for the last message, in seconds. One takes milliseconds; after a minute the run is broken
and ends with an error.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyOptions:
    """``rate`` in messages per second."""

    messages: int = 500
    rate: float = 50.0
    poller: Literal["auto", "notify", "poll"] = "auto"
    result: bool = False


async def latency(address: Address, options: LatencyOptions, say: Callable[[str], None]) -> Report:
    """The worker first, then as many raw round trips at the same rate."""
    async with arena(address) as place:
        around = await environment(place.connection)
        say(f"{options.messages} messages at {options.rate:g}/s")
        measured = await (_of_results if options.result else _of_starts)(place, options)
        say(f"{options.messages} raw notifications at {options.rate:g}/s")
        trips = await raw.round_trips(address, place.shape.name, options.messages, 1 / options.rate)
    return Report(
        bench="latency",
        unit="ms",
        value=measured["result_p50_ms" if options.result else "p50_ms"],
        reference_name="LISTEN/NOTIFY round trip, p50",
        reference=percentiles(trips)["p50_ms"],
        figures=measured,
        settings=asdict(options),
        environment=around,
    )


async def _of_starts(place: Arena, options: LatencyOptions) -> dict[str, float]:
    committing, committed, started = await sends(place, options)
    with_commit = [start - commit for commit, start in zip(committing, started, strict=True)]
    return {
        **percentiles([start - commit for commit, start in zip(committed, started, strict=True)]),
        "p50_with_commit_ms": percentiles(with_commit)["p50_ms"],
    }


async def _of_results(place: Arena, options: LatencyOptions) -> dict[str, float]:
    """From the end of each handler to its result."""
    ended: dict[int, float] = {}

    @worker(queue=place.shape.name, on_success="delete", poller=options.poller, keep_results=True)
    async def note(number: int) -> int:
        ended[number] = perf_counter()
        return number

    async with running(place.address, note):
        found = await sent(
            place, WARM_UP + options.messages, 1 / options.rate, module="postmill.bench.result_waiter"
        )
    waits = [there - ended[number] for number, there in enumerate(found)][WARM_UP:]
    return {f"result_{name}": value for name, value in percentiles(waits).items()}


async def sends(place: Arena, options: LatencyOptions) -> tuple[list[float], list[float], list[float]]:
    """When each message's COMMIT was sent, when it was confirmed, and when its handler started."""
    count = WARM_UP + options.messages
    started: dict[int, float] = {}
    all_started = asyncio.Event()

    @worker(queue=place.shape.name, on_success="delete", poller=options.poller)
    async def note(number: int) -> None:
        started[number] = perf_counter()
        if len(started) == count:
            all_started.set()

    async with running(place.address, note):
        moments = await sent(place, count, 1 / options.rate)
        async with asyncio.timeout(LOST_AFTER_S):
            await all_started.wait()
    moments = moments[WARM_UP:]
    return (
        [committing for committing, _ in moments],
        [committed for _, committed in moments],
        [started[number] for number in range(WARM_UP, count)],
    )


async def sent(
    place: Arena,
    messages: int,
    period_s: float,
    headers: dict[str, object] | None = None,
    *,
    module: str = "postmill.bench.sender",
) -> list[Any]:
    """Run the sender to its end: what it tells of each message, which is its two moments. Cancelled, it ends
    the sender. ``module``: another one that reads the same task.
    """
    task = {
        "url": place.address.url,
        "queue": place.shape.name,
        "messages": messages,
        "period_s": period_s,
        "headers": headers,
    }
    with _sender(module) as sender:
        output, _ = await asyncio.to_thread(sender.communicate, json.dumps(task) + "\n")
    return [json.loads(line) for line in output.splitlines()]


@contextmanager
def _sender(module: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def percentiles(seconds: list[float]) -> dict[str, float]:
    """The 50th, 95th and 99th, in milliseconds."""
    cuts = quantiles(seconds, n=100, method="inclusive")
    return {f"p{percent}_ms": cuts[percent - 1] * 1000 for percent in (50, 95, 99)}
