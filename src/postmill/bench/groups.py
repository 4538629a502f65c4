"""``bench groups``: how fast a worker empties a queue whose messages have groups, beside a plain queue.

With ``--pinned``: whether a claim of groups stays as fast while an old transaction keeps dead rows from being
removed.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from postmill.bench.arena import arena, connect, made
from postmill.bench.environment import environment
from postmill.bench.pinned import pin
from postmill.bench.producer import TICK_S
from postmill.bench.report import Report
from postmill.bench.workers import Tally, nothing, running
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from postmill.bench.arena import Arena, Connection
    from postmill.model.config.address import Address

CASES = {"1": (1, None), "100": (100, None), "10_000": (10_000, None), "10_000_single": (10_000, 1)}
"""How many groups, and how many messages of each may run at once: one group that has everything, as many as a
product has busy tenants, as many as it has orders; and orders that are worked on one message at a time.
"""
SEND_BATCH = 5_000
"""Messages in one transaction while a queue is filled: as many as in one statement of ``send_many``."""
PINNED_GROUPS = 40
"""Groups of the pinned run. 40: each claim of a worker meets many of them, and each of them all the time."""
PARTS = 6
"""The first and the last of six parts of a pinned run are compared: 20 s each of the default 120, so that one
slow second does not decide.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsOptions:
    """``messages`` of each drain. With ``pinned`` messages are sent at ``rate`` a second for ``seconds``."""

    messages: int = 40_000
    payload_bytes: int = 100
    rounds: int = 3
    pinned: bool = False
    seconds: float = 120.0
    rate: float = 2_000.0


async def groups(address: Address, options: GroupsOptions, say: Callable[[str], None]) -> Report:
    """The drains, or the pinned run."""
    return await (_pinned if options.pinned else _drains)(address, options, say)


async def _drains(address: Address, options: GroupsOptions, say: Callable[[str], None]) -> Report:
    """A plain queue and one for each case take turns; medians are compared."""
    rates: dict[str, list[float]] = {}
    async with made(address, 1 + len(CASES)) as (plain, *grouped):
        around = await environment(plain.connection)
        for place, (_, limit) in zip(grouped, CASES.values(), strict=True):
            await _limit(place, limit)
        for number in range(1, options.rounds + 1):
            await plain.fill(options.messages, options.payload_bytes)
            rates.setdefault("plain", []).append(await _drain(plain, options.messages))
            for place, (name, (keys, _)) in zip(grouped, CASES.items(), strict=True):
                await _fill(place, options, keys)
                rates.setdefault(name, []).append(await _drain(place, options.messages))
            told = ", ".join(f"{name} {found[-1]:,.0f}/s" for name, found in rates.items())
            say(f"round {number} of {options.rounds}: {told}")
    reference = median(rates["plain"])
    return Report(
        bench="groups",
        unit="messages/s",
        value=median(rates["100"]),
        reference_name="a plain queue",
        reference=reference,
        figures={f"ratio_{name.replace('_', '', 1)}": median(rates[name]) / reference for name in CASES},
        settings=asdict(options),
        environment=around,
    )


async def _limit(place: Arena, limit: int | None) -> None:
    if limit is not None:
        await place.connection.fetchval(place.sql("bench_limit_groups"), place.shape.name, limit)


async def _fill(place: Arena, options: GroupsOptions, keys: int) -> None:
    for sent in range(0, options.messages, SEND_BATCH):
        size = min(SEND_BATCH, options.messages - sent)
        await _send(place.connection, place, options, size, keys, sent)
    await place.connection.execute(place.sql("bench_vacuum_gates"))
    await place.connection.execute(place.sql("bench_vacuum"))


async def _send(
    connection: Connection, place: Arena, options: GroupsOptions, size: int, keys: int, first: int
) -> None:
    text = place.sql("bench_send_groups")
    await connection.fetchval(text, place.shape.name, size, options.payload_bytes, keys, first)


async def _drain(place: Arena, messages: int) -> float:
    """From the moment the worker may claim to the last settled message."""
    async with running(place.address, nothing(place.shape.name)) as engine:
        tally = Tally(engine)
        began = perf_counter()
        await tally.reach(messages)
        took_s = perf_counter() - began
    if await place.connection.fetchval(place.sql("bench_left")):
        raise PostmillError("Messages were left in the queue.", why="Something else works on it.")
    return messages / took_s


async def _pinned(address: Address, options: GroupsOptions, say: Callable[[str], None]) -> Report:
    """The mean time of a claim in the last part of the run, beside that in the first."""
    async with arena(address) as place:
        around = await environment(place.connection)
        async with pin(place), running(place.address, nothing(place.shape.name)) as engine:
            tally = Tally(engine)
            async with _producing(place, options):
                times = [await _claim_ms(tally, options.seconds / PARTS, say) for _ in range(PARTS)]
    return Report(
        bench="groups",
        unit="ms",
        value=times[-1],
        reference_name=f"a claim in the first {options.seconds / PARTS:g} s",
        reference=times[0],
        figures={"pinned_ratio": times[-1] / times[0]}
        | {f"claim_ms_{number}": time_ms for number, time_ms in enumerate(times, 1)},
        settings=asdict(options),
        environment=around,
    )


async def _claim_ms(tally: Tally, seconds: float, say: Callable[[str], None]) -> float:
    """The mean time of the claims in the coming seconds."""
    lanes, completed = tally.lanes, tally.completed
    claims, claiming_s = lanes.claims, lanes.claiming_s
    await asyncio.sleep(seconds)
    if lanes.claims == claims:
        raise PostmillError(
            f"No claim was made in {seconds:g} s.", why="The run is too short, or the worker stands still."
        )
    found = (lanes.claiming_s - claiming_s) * 1000 / (lanes.claims - claims)
    say(f"{(tally.completed - completed) / seconds:,.0f} messages/s, claim {found:.2f} ms")
    return found


@asynccontextmanager
async def _producing(place: Arena, options: GroupsOptions) -> AsyncIterator[None]:
    """Messages are sent while the block runs. What fails in that fails the block's end."""
    task = asyncio.create_task(_produce(place, options))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def _produce(place: Arena, options: GroupsOptions) -> None:
    connection = await connect(place.address)
    try:
        began, sent = perf_counter(), 0
        while True:
            await asyncio.sleep(TICK_S)
            due = int((perf_counter() - began) * options.rate) - sent
            if due > 0:
                await _send(connection, place, options, due, PINNED_GROUPS, sent)
                sent += due
    finally:
        connection.terminate()
