"""A worker that uses CPU, at a message that says so, until it is told to stop; then it waits for a row."""

import asyncio
import os
import time

from postmill import Context, worker


@worker(queue="burns_up", max_concurrent=2)
async def burns_up(payload: str, ctx: Context) -> None:
    async with ctx.db as connection:
        run = "insert into runs (msg_id, pid) values ($1, $2)"
        await connection.execute(run, ctx.message.msg_id, os.getpid())
        if payload == "burn":
            while not ctx.stopping.is_set():
                until = time.process_time() + 0.02
                while time.process_time() < until:
                    pass
                await asyncio.sleep(0)
            await connection.execute("insert into gates values ($1)", ctx.stopping.reason)
            while not await connection.fetchval("select exists (select from gates where name = 'end')"):
                await asyncio.sleep(0.02)
