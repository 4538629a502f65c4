"""A worker that notes each run of each message, and who ran it."""

import os

from postmill import Context, worker


@worker(queue="tally", max_concurrent=5)
async def tally(payload: int, ctx: Context) -> None:
    async with ctx.db as connection:
        await connection.execute(
            "insert into runs (msg_id, pid) values ($1, $2)", ctx.message.msg_id, os.getpid()
        )
