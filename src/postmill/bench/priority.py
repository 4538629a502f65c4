"""``bench priority``: what it costs to serve a queue by priority, and how long an urgent message waits.

Two queues hold the same messages, one with priorities and one without; none of the messages has a priority,
each has the same, or they have 1 to 9 in turn. The worker's own claims and completions take turns on them
batch by batch, and the ratio is the median of those of all pairs of batches: the two of a pair ran within
milliseconds, on the same busy or idle machine. Then messages of the highest priority are sent to a queue
with a backlog, on which a worker is at work.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from uuid import uuid4

from postmill.bench.arena import made
from postmill.bench.environment import environment
from postmill.bench.latency import LOST_AFTER_S, WARM_UP, percentiles, sent
from postmill.bench.report import Report
from postmill.bench.workers import running
from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.claim.lanes import QueueLanes
from postmill.engine.settle.settlement import Settlement, Settlings, Statements
from postmill.engine.settle.statements import OWN
from postmill.handlers import worker
from postmill.model.queue.outcome import COMPLETED
from postmill.model.queue.worker_options import WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.bench.arena import Arena
    from postmill.model.config.address import Address
    from postmill.model.queue.message import Claim, Message
    from postmill.model.queue.queue_name import QueueShape

HANDLER_S = 0.01
"""Seconds that the handler takes for a message of the backlog, without using a processor. 10 ms: ten at once
do 1,000 a second, so that a backlog of 20,000 outlasts 300 urgent messages at 50 a second.
"""
BATCH = 1_000
"""Messages of a claim and of its completion. About as many as a worker with the fastest handler claims at
once: 60,000 in 64 claims, measured with ``bench drain``.
"""
Priorities: TypeAlias = Literal["none", "all", "mixed"]
KINDS: dict[Priorities, str] = {
    "none": "none has a priority",
    "all": "each has the same priority",
    "mixed": "each has a priority, 1 to 9 in turn",
}
"""Which messages are drained, and how to say it."""
RATE = 50.0
"""Urgent messages a second: few enough that each finds the worker busy with the backlog only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityOptions:
    """``messages`` of each side, in batches of ``batch``; ``urgent``: how many messages of priority 9 are
    sent to a queue with ``backlog`` messages.
    """

    messages: int = 20_000
    batch: int = BATCH
    payload_bytes: int = 100
    backlog: int = 20_000
    urgent: int = 300
    rounds: int = 5


@dataclass(slots=True)
class Side:
    """A queue, and what a worker on it would do."""

    place: Arena
    priorities: Priorities
    connection: SharedConnection
    lanes: QueueLanes = field(init=False)
    held: list[Message] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)

    async def begin(self, options: PriorityOptions) -> None:
        """Fill the queue, and look at it as a worker does that starts."""
        await self.place.fill(options.messages, options.payload_bytes)
        if self.priorities != "none":
            mixed = self.priorities == "mixed"
            await self.place.connection.execute(self.place.sql("bench_fill_priorities"), mixed)
            await self.place.connection.execute(self.place.sql("bench_vacuum"))
        of_queue = WorkerOptions(queue=self.place.shape.name)
        self.lanes = QueueLanes(self.connection, uuid4(), of_queue, self._shape, self._claimed)
        await self.lanes.begin()
        await self.lanes.snapshot(idle=True)

    async def batch(self, size: int) -> float:
        """Seconds for one turn of claims and the completion of what they gave."""
        statements = Statements(self.place.shape, uuid4(), archive=False, keep_results=False)
        began = perf_counter()
        await self.lanes.ahead(size)
        claiming_s = perf_counter() - began
        messages, self.held = sorted(self.held, key=lambda message: message.msg_id), []
        pairs: list[Any] = [(message, COMPLETED) for message in messages]
        claims = list({message.claim.claim_id for message in messages})
        text, arguments = statements.call(Settlement(Settlings(OWN).find(COMPLETED), pairs, claims, []))
        began = perf_counter()
        row = await self.connection.fetchrow(text, *arguments)
        assert len(row["settled"]) == size  # noqa: S101 - else it is not what was measured
        return claiming_s + perf_counter() - began

    async def _shape(self) -> QueueShape:
        return self.place.shape

    def _claimed(self, _claim: Claim, messages: list[Message], _to_park: object = None) -> None:
        self.held += messages


async def priority(address: Address, options: PriorityOptions, say: Callable[[str], None]) -> Report:
    """The costs, and then the waits."""
    async with made(address, 2) as (plain, banded):
        around = await environment(plain.connection)
        await banded.connection.execute(banded.sql("bench_enable_priority"), banded.shape.name)
        sides: dict[Priorities, tuple[Side, Side]] = {}
        for kind, words in KINDS.items():
            sides[kind] = await _compared(plain, banded, options, kind)
            say(f"{words}: ratio {_ratio(*sides[kind]):.3f}")
        say(f"{options.urgent} messages of priority 9 at {RATE:g}/s, on a backlog of {options.backlog:,}")
        waits = percentiles(await _waits(banded, options))
    return Report(
        bench="priority",
        unit="messages/s",
        value=options.batch / median(sides["none"][1].took_s),
        reference_name="a queue without priorities",
        reference=options.batch / median(sides["none"][0].took_s),
        paired=_ratio(*sides["none"]),
        figures={
            **{f"ratio_{kind}": _ratio(*both) for kind, both in sides.items()},
            **{f"wait_{name}": value for name, value in waits.items()},
        },
        settings=asdict(options),
        environment=around,
    )


def _ratio(plain: Side, banded: Side) -> float:
    """How fast a batch is done with bands, in parts of how fast it is done without."""
    return median(without / within for without, within in zip(plain.took_s, banded.took_s, strict=True))


async def _compared(
    plain: Arena, banded: Arena, options: PriorityOptions, priorities: Priorities
) -> tuple[Side, Side]:
    """Both sides, batch by batch in turn."""
    async with AsyncExitStack() as stack:
        sides = []
        for place in (plain, banded):
            connection = SharedConnection(place.address, "bench")
            stack.push_async_callback(connection.close)
            sides.append(Side(place, priorities, connection))
        for _ in range(options.rounds):
            for side in sides:
                await side.begin(options)
            for number in range(options.messages // options.batch):
                for side in sides if number % 2 else reversed(sides):
                    spent = await side.batch(options.batch)
                    if number:  # the first batch of a table is planned anew
                        side.took_s.append(spent)
    return sides[0], sides[1]


async def _waits(place: Arena, options: PriorityOptions) -> list[float]:
    """Seconds from the confirmed COMMIT of each urgent message to the start of its handler."""
    count = WARM_UP + options.urgent
    started: dict[int, float] = {}
    all_started = asyncio.Event()

    @worker(queue=place.shape.name, on_success="delete")
    async def note(payload: Any) -> None:
        if isinstance(payload, dict):
            await asyncio.sleep(HANDLER_S)
            return
        started[payload] = perf_counter()
        if len(started) == count:
            all_started.set()

    await place.fill(options.backlog, options.payload_bytes)
    async with running(place.address, note):
        moments = await sent(place, count, 1 / RATE, {"postmill-priority": 9})
        async with asyncio.timeout(LOST_AFTER_S):
            await all_started.wait()
    return [started[number] - moments[number][1] for number in range(WARM_UP, count)]
