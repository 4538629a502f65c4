"""``bench depth``: does a claim cost the same however many messages wait?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING
from uuid import uuid4

from postmill.bench.arena import arena
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.claim.lanes import QueueLanes
from postmill.model.queue.worker_options import WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.bench.arena import Arena
    from postmill.model.config.address import Address
    from postmill.model.queue.queue_name import QueueShape

DEPTHS = (1_000, 100_000, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthOptions:
    """``claims`` claims of ``batch`` messages at each depth, but no more than there are messages."""

    depths: tuple[int, ...] = DEPTHS
    batch: int = 10
    claims: int = 100
    payload_bytes: int = 100
    rounds: int = 3


async def depth(address: Address, options: DepthOptions, say: Callable[[str], None]) -> Report:
    """The worker's own claims on a queue of each depth in turn; medians of ``rounds`` medians."""
    found: dict[int, list[float]] = {depth: [] for depth in options.depths}
    async with arena(address) as place:
        around = await environment(place.connection)
        for number in range(1, options.rounds + 1):
            for messages in options.depths:
                await place.fill(messages, options.payload_bytes)
                found[messages].append(await _claim_ms(place, options))
                say(
                    f"round {number} of {options.rounds}: {messages:,} ready, "
                    f"claim {found[messages][-1]:.3f} ms"
                )
    cost = {messages: median(times) for messages, times in found.items()}
    dearest = max(cost, key=lambda messages: cost[messages])
    return Report(
        bench="depth",
        unit="ms",
        value=min(cost.values()),
        reference_name=f"dearest claim, at {dearest} messages",
        reference=cost[dearest],
        figures={f"claim_ms_at_{messages}": time_ms for messages, time_ms in cost.items()},
        settings=asdict(options),
        environment=around,
    )


async def _claim_ms(place: Arena, options: DepthOptions) -> float:
    """The median time of a fast claim, as a worker with an empty cursor makes them one after the other."""

    async def shape() -> QueueShape:
        return place.shape

    shared = SharedConnection(place.address, "bench")
    worker = WorkerOptions(queue=place.shape.name)
    lanes = QueueLanes(shared, uuid4(), worker, shape, lambda *_claimed: None)
    times = []
    try:
        await lanes.begin()
        for _ in range(options.claims):
            began = perf_counter()
            if not (await lanes.ahead(options.batch)).messages:
                break
            times.append(perf_counter() - began)
    finally:
        await shared.close()
    return median(times) * 1000
