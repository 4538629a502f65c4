"""``bench latency``: from the commit of a send to the start of its handler on an idle worker.

The sender's connection and the worker are in one process, so one clock (``perf_counter``) serves both: it
is read just before COMMIT is sent, and first thing in the handler. The commit itself, with its flush to
disk, is therefore part of the latency, as it is part of the raw round trip of a notification that is
measured beside it.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from postmill.bench import raw
from postmill.bench.arena import arena, connect
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.bench.workers import running
from postmill.client import AsyncClient
from postmill.handlers import worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.bench.arena import Arena, Connection
    from postmill.model.address import Address

WARM_UP = 10
"""Messages that are not counted: statements are prepared and plans made."""
LOST_AFTER_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyOptions:
    """``rate`` in messages per second."""

    messages: int = 500
    rate: float = 50.0
    poller: Literal["auto", "notify", "poll"] = "auto"


async def latency(address: Address, options: LatencyOptions, say: Callable[[str], None]) -> Report:
    """The worker first, then as many raw round trips at the same rate."""
    async with arena(address) as place:
        around = await environment(place.connection)
        say(f"{options.messages} messages at {options.rate:g}/s")
        found = await _sends(place, options)
        say(f"{options.messages} raw notifications at {options.rate:g}/s")
        trips = await raw.round_trips(address, place.shape.name, options.messages, 1 / options.rate)
    percentiles = _percentiles(found)
    return Report(
        bench="latency",
        unit="ms",
        value=percentiles["p50_ms"],
        reference_name="LISTEN/NOTIFY round trip, p50",
        reference=_percentiles(trips)["p50_ms"],
        figures=percentiles,
        settings=asdict(options),
        environment=around,
    )


async def _sends(place: Arena, options: LatencyOptions) -> list[float]:
    started: asyncio.Queue[float] = asyncio.Queue()

    @worker(queue=place.shape.name, on_success="delete", poller=options.poller)
    async def note(_: object) -> None:
        started.put_nowait(perf_counter())

    sender = await connect(place.address)
    try:
        async with running(place.address, note):
            found = [
                await _one(place, sender, started, 1 / options.rate)
                for _ in range(WARM_UP + options.messages)
            ]
            return found[WARM_UP:]
    finally:
        sender.terminate()


async def _one(place: Arena, sender: Connection, started: asyncio.Queue[float], pause_s: float) -> float:
    await asyncio.sleep(pause_s)
    transaction = sender.transaction()
    await transaction.start()
    await AsyncClient(sender).send(place.shape.name, {"sent": True})
    committing = perf_counter()
    await transaction.commit()
    async with asyncio.timeout(LOST_AFTER_S):
        return await started.get() - committing


def _percentiles(seconds: list[float]) -> dict[str, float]:
    cuts = quantiles(seconds, n=100, method="inclusive")
    return {f"p{percent}_ms": cuts[percent - 1] * 1000 for percent in (50, 95, 99)}
