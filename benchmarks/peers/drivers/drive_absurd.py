"""Absurd: its Python SDK on the SQL that comes with ``absurdctl`` of the same version."""

import asyncio
from contextlib import asynccontextmanager

import absurdctl
import psycopg
from absurd_sdk import AsyncAbsurd
from protocol import drive

WORKERS = 10
CONCURRENCY = 10
SETTINGS = f"{WORKERS} workers in a process, a connection each, concurrency={CONCURRENCY}, poll_interval=0.01"
QUEUE = "peers"


async def install(url, _feature=None, _steps=None):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(absurdctl.BUNDLED_SCHEMA_SQL)
        connection.execute("select absurd.create_queue(%s)", [QUEUE])


class Sender:
    batch = 5_000

    def __init__(self, connection):
        self._connection = connection
        self._client = AsyncAbsurd(connection, queue_name=QUEUE)

    async def many(self, payloads):
        async with self._connection.transaction():
            for _ in payloads:
                await self._client.spawn("work", self.steps, queue=QUEUE)


@asynccontextmanager
async def sender(url):
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield Sender(connection)


async def work(task, handle):
    async def one(steps, context):
        for number in range(steps):
            await step(number, context)

    async def together(steps, context):
        await asyncio.gather(*(step(number, context) for number in range(steps)))

    async def step(number, context):
        async def do():
            await handle(number)
            return number

        return await context.step("step", do)

    function = together if task["feature"] == "map" else one
    workers = [AsyncAbsurd(task["url"], queue_name=QUEUE) for _ in range(WORKERS)]
    for worker in workers:
        worker.register_task("work")(function)
    await asyncio.gather(
        *(worker.start_worker(concurrency=CONCURRENCY, poll_interval=0.01) for worker in workers)
    )


drive("absurd-sdk", SETTINGS, install, sender, work, ("runs", "map", "chain"))
