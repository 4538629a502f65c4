"""``bench plain``: what a claim and a completion cost on a queue that uses no job feature, beside the
statements that Postmill had before there were any.

Both sides run on one connection, each on a queue of its own, and take turns batch by batch. The ratio is the
median of those of all pairs of batches: the two of a pair ran within milliseconds, on the same busy or idle
machine.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from postmill.bench.arena import made
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.db.hot import shared_connection
from postmill.engine.claim.lane import Fast
from postmill.engine.settle.settlement import Settlement, Settlings, Statements, leases
from postmill.engine.settle.statements import OWN
from postmill.model.queue.message import Claim, Message
from postmill.model.queue.outcome import COMPLETED

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.bench.arena import Arena, Connection
    from postmill.model.config.address import Address

WORKER_ID = UUID(int=0)
LEASE = timedelta(seconds=30)
"""The lease of a claim: 30 s, as the raw limit's. No batch takes that long."""
CLAIM_BYTES = 1 << 30
"""How many bytes a claim may take: more than any batch has, so that both sides always take whole batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainOptions:
    """``messages`` of each side in each round, in batches of ``batch``."""

    messages: int = 40_000
    batch: int = 500
    payload_bytes: int = 100
    rounds: int = 5


@dataclass(slots=True)
class Side:
    """A queue, the statements that work on it, and the seconds that each batch took."""

    place: Arena
    claim: str
    complete: Callable[[Settlement], tuple[str, tuple[Any, ...]]]
    history: str = ""
    position: int = 0
    took_s: list[float] = field(default_factory=list)

    def rate(self, batch: int) -> float:
        """Messages per second, by the median batch."""
        return batch / median(self.took_s)


async def plain(address: Address, options: PlainOptions, say: Callable[[str], None]) -> Report:
    """The statements of today and those of before, in turn."""
    async with made(address, 2) as (ours, before):
        around = await environment(ours.connection)
        sides = (_today(ours), _before(before))
        connection = await shared_connection.connect(address, "bench")
        try:
            for number in range(1, options.rounds + 1):
                await _round(connection, sides, options)
                say(f"round {number} of {options.rounds}: ratio {_ratio(*sides):.3f}")
        finally:
            connection.terminate()
    return Report(
        bench="plain",
        unit="messages/s",
        value=sides[0].rate(options.batch),
        reference_name="the statements of before job features",
        reference=sides[1].rate(options.batch),
        paired=_ratio(*sides),
        settings=asdict(options),
        environment=around,
    )


def _ratio(ours: Side, before: Side) -> float:
    """How fast a batch is done, in parts of how fast it was done before."""
    return median(theirs_s / ours_s for ours_s, theirs_s in zip(ours.took_s, before.took_s, strict=True))


def _today(place: Arena) -> Side:
    statements = Statements(place.shape, WORKER_ID, archive=False, keep_results=False)
    return Side(place, Fast().statement(place.shape), statements.call)


def _before(place: Arena) -> Side:
    def complete(settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
        return place.sql("bench_before_complete"), leases(settlement)[:4]

    return Side(place, place.sql("bench_before_claim"), complete)


async def _round(connection: Connection, sides: tuple[Side, Side], options: PlainOptions) -> None:
    for side in sides:
        await side.place.fill(options.messages, options.payload_bytes)
        [row] = await connection.fetch(side.place.sql("cursor_hint_read"), side.place.shape.name)
        side.history, side.position = row["history"], 0
    for number in range(options.messages // options.batch):
        for side in sides if number % 2 else reversed(sides):
            spent = await _batch(connection, side, options.batch)
            if number:  # the first batch of a table is planned anew
                side.took_s.append(spent)


async def _batch(connection: Connection, side: Side, size: int) -> float:
    """Seconds for one claim and the completion of what it gave."""
    queue = side.place.shape.name
    limits = (side.position, size, LEASE, WORKER_ID, queue, CLAIM_BYTES, side.history)
    began = perf_counter()
    claimed = await connection.fetchrow(side.claim, *limits)
    claiming_s = perf_counter() - began
    settlement = _settlement(queue, claimed)
    text, arguments = side.complete(settlement)
    began = perf_counter()
    row = await connection.fetchrow(text, *arguments)
    completing_s = perf_counter() - began
    assert row is not None  # noqa: S101
    assert len(row["settled"]) == size  # noqa: S101 - else it is not what was measured
    side.position = settlement.messages[-1].msg_id
    return claiming_s + completing_s


def _settlement(queue: str, row: Any) -> Settlement:
    claim = Claim(row["claim_id"], datetime.now(UTC), 0.0)
    messages = [
        Message(queue, msg_id, read_ct, row["vt_us"], 0, "", None, 0, 0, claim)
        for msg_id, read_ct in sorted(zip(row["msg_ids"], row["read_cts"], strict=True))
    ]
    pairs: list[Any] = [(message, COMPLETED) for message in messages]
    return Settlement(Settlings(OWN).find(COMPLETED), pairs, [claim.claim_id], [])
