"""``bench unique``: what unique keys cost a batch of new messages, beside ``send_batch`` without keys.

Both sides run on one connection, each on a queue of its own, and take turns batch by batch. A ratio is the
median of those of all pairs of batches: the two of a pair ran within milliseconds, on the same busy or idle
machine.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import count
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from postmill.bench.arena import made
from postmill.bench.enqueue import payload
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postmill.bench.arena import Arena
    from postmill.model.config.address import Address

BATCHES = (100, 1_000)
"""Messages of a batch: a usual one, and one that a bulk import sends. The table of figures names these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueOptions:
    """``messages`` of each side, in each round and for each size of a batch."""

    messages: int = 20_000
    payload_bytes: int = 100
    rounds: int = 5


async def unique(address: Address, options: UniqueOptions, say: Callable[[str], None]) -> Report:
    """Batches with keys and without, in turn."""
    keys = (f"key-{number}" for number in count())
    pairs: dict[int, list[tuple[float, float]]] = {size: [] for size in BATCHES}
    async with made(address, 2) as (plain, keyed):
        around = await environment(plain.connection)
        for number in range(1, options.rounds + 1):
            for size in BATCHES:
                pairs[size] += await _round(plain, keyed, size, options, keys)
            said = ", ".join(f"ratio_{size} {_ratio(pairs[size]):.3f}" for size in BATCHES)
            say(f"round {number} of {options.rounds}: {said}")
    largest = BATCHES[-1]
    without_s, with_s = (median(side) for side in zip(*pairs[largest], strict=True))
    return Report(
        bench="unique",
        unit="messages/s",
        value=largest / with_s,
        reference_name="send_batch without keys",
        reference=largest / without_s,
        paired=_ratio(pairs[largest]),
        settings=asdict(options),
        environment=around,
        figures={f"ratio_{size}": _ratio(pairs[size]) for size in BATCHES},
    )


def _ratio(pairs: list[tuple[float, float]]) -> float:
    return median(without_s / with_s for without_s, with_s in pairs)


async def _round(
    plain: Arena, keyed: Arena, size: int, options: UniqueOptions, keys: Iterator[str]
) -> list[tuple[float, float]]:
    """Seconds without and with keys, of each batch but the first: that one is planned anew."""
    await plain.empty()
    await keyed.empty()
    payloads = [to_json(payload(number, options.payload_bytes)).decode() for number in range(size)]
    found = []
    for number in range(max(options.messages // size, 2)):
        new = [next(keys) for _ in range(size)]
        calls = [
            (plain, "bench_send_batch", (plain.shape.name, payloads)),
            (keyed, "bench_send_unique", (keyed.shape.name, payloads, new)),
        ]
        took_s = {}
        for place, name, arguments in calls if number % 2 else reversed(calls):
            began = perf_counter()
            await place.connection.fetchval(place.sql(name), *arguments)
            took_s[name] = perf_counter() - began
        if number:
            found.append((took_s["bench_send_batch"], took_s["bench_send_unique"]))
    return found
