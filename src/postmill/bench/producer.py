"""Sends at a steady rate, on a connection of its own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from postmill.bench.arena import connect
from postmill.bench.enqueue import payload
from postmill.client import AsyncClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.bench.arena import Arena

TICK_S = 0.02
"""Seconds between two sends. All messages that have become due are sent in one transaction. 20 ms: at the
default rate of 5,000 a second that is 100 messages a transaction, and a steady load.
"""


class Producer:
    """Sends ``rate`` messages a second. When it falls behind, on a busy machine, it catches up in its next
    sends.
    """

    def __init__(self, place: Arena, rate: float, payload_bytes: int) -> None:
        self._place = place
        self._rate = rate
        self._payload_bytes = payload_bytes
        self.sent = 0
        """Messages whose transaction is committed."""

    async def run(self) -> None:
        """Until cancelled."""
        connection = await connect(self._place.address)
        try:
            client = AsyncClient(connection)
            began = perf_counter()
            while True:
                await asyncio.sleep(TICK_S)
                due = int((perf_counter() - began) * self._rate) - self.sent
                payloads = (payload(number, self._payload_bytes) for number in range(due))
                self.sent += len(await client.send_many(self._place.shape.name, payloads))
        finally:
            connection.terminate()


@asynccontextmanager
async def producing(place: Arena, rate: float, payload_bytes: int) -> AsyncIterator[Producer]:
    """The producer sends while the block runs. What fails in it fails the block's end."""
    producer = Producer(place, rate, payload_bytes)
    task = asyncio.create_task(producer.run())
    try:
        yield producer
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()
