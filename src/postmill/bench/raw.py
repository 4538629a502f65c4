"""The raw limit: what one plain asyncpg connection reaches with the same statements and nothing around them.

Pinned: no handler, no JSON decoding, no row in ``postmill.claims``, no fence. The worker and the client
are measured against this in the same run, so nothing of the product may creep in here.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from postmill.bench.arena import connect
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.bench.arena import Arena
    from postmill.model.config.address import Address

BATCH = 500
"""Messages in one claim and in one delete of the raw side. 500: larger statements are no faster on the bare
SQL, so the raw limit is a fair one.
"""
INSERT_BATCH = 5_000
"""Messages in one insert of the raw side: the same as in one statement of ``send_many``
(``client.sending.BATCH_MESSAGES``), so that both sides do the same work.
"""


async def drain(arena: Arena) -> float:
    """Claim and delete everything in the queue; messages per second."""
    claim = await arena.connection.prepare(arena.sql("bench_claim"))
    delete = await arena.connection.prepare(arena.sql("bench_delete"))
    cursor = done = 0
    started = perf_counter()
    while rows := await claim.fetch(cursor, BATCH):
        ids = [row[0] for row in rows]
        cursor = max(ids)
        await delete.fetch(ids)
        done += len(ids)
    return done / (perf_counter() - started)


async def insert(arena: Arena, payloads: Sequence[str]) -> float:
    """Insert payloads that are JSON text already, in one transaction; messages per second."""
    await arena.empty()
    insertion = await arena.connection.prepare(arena.sql("bench_insert"))
    started = perf_counter()
    async with arena.connection.transaction():
        for begin in range(0, len(payloads), INSERT_BATCH):
            await insertion.fetch(payloads[begin : begin + INSERT_BATCH])
    return len(payloads) / (perf_counter() - started)


async def round_trips(address: Address, channel: str, moments: int, period_s: float) -> list[float]:
    """Seconds from just before a NOTIFY commits to its arrival on another connection, ``moments`` times."""
    listener, sender = await connect(address), await connect(address)
    arrived: asyncio.Queue[float] = asyncio.Queue()
    try:
        await listener.add_listener(channel, lambda *_: arrived.put_nowait(perf_counter()))
        found = []
        for _ in range(moments):
            transaction = sender.transaction()
            await transaction.start()
            await sender.execute(statement("bench_notify"), channel)
            committing = perf_counter()
            await transaction.commit()
            found.append(await arrived.get() - committing)
            await asyncio.sleep(period_s)
        return found
    finally:
        listener.terminate()
        sender.terminate()
