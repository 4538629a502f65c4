"""``bench enqueue``: how fast ``AsyncClient.send_many`` sends, beside a bare insert of ready JSON text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from postmill.bench import raw
from postmill.bench.arena import arena
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.bench.rounds import alternate
from postmill.client import AsyncClient
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.bench.arena import Arena
    from postmill.model.config.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueOptions:
    """``payload_bytes`` is the size of the JSON text."""

    messages: int = 200_000
    payload_bytes: int = 100
    rounds: int = 5


async def enqueue(address: Address, options: EnqueueOptions, say: Callable[[str], None]) -> Report:
    """Raw and client take turns; the medians are compared."""
    payloads = [payload(number, options.payload_bytes) for number in range(options.messages)]
    texts = [to_json(item).decode() for item in payloads]
    async with arena(address) as place:
        around = await environment(place.connection)
        reference, value = await alternate(
            options.rounds, lambda: raw.insert(place, texts), lambda: _send(place, payloads), say
        )
    return Report(
        bench="enqueue",
        unit="messages/s",
        value=value,
        reference_name="insert of ready JSON, one asyncpg connection",
        reference=reference,
        settings=asdict(options),
        environment=around,
    )


def payload(number: int, size: int) -> dict[str, object]:
    """A dict whose JSON text has ``size`` bytes, at least 22."""
    return {"n": number, "pad": "x" * (size - 15 - len(str(number)))}


async def _send(place: Arena, payloads: list[dict[str, object]]) -> float:
    await place.empty()
    client = AsyncClient(place.connection)
    started = perf_counter()
    await client.send_many(place.shape.name, payloads)
    return len(payloads) / (perf_counter() - started)
