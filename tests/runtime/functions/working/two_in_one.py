"""A worker with a default handler and a task, made in two steps: one worker, not two."""

from postmill import Context, worker

jobs = worker(queue="two_in_one")


async def note(ctx):
    async with ctx.db as connection:
        await connection.execute("insert into runs (msg_id) values ($1)", ctx.message.msg_id)


@jobs.task
async def other(payload: str, ctx: Context) -> None:
    await note(ctx)


@jobs
async def default(payload: str, ctx: Context) -> None:
    await note(ctx)
