"""A worker whose messages run until a row says that they may end."""

import asyncio
import os

from postmill import Context, worker


@worker(queue="waits", max_concurrent=1, batch_size=1)
async def waits(payload: str, ctx: Context) -> None:
    async with ctx.db as connection:
        await connection.execute(
            "insert into runs (msg_id, pid) values ($1, $2)", ctx.message.msg_id, os.getpid()
        )
        opened = "select exists (select from gates where name = $1)"
        while not await connection.fetchval(opened, payload):
            await asyncio.sleep(0.02)
