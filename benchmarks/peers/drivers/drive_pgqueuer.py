"""PgQueuer: one queue manager on an asyncpg connection."""

import json

import asyncpg
from asyncpg_sender import AsyncpgSender
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from protocol import drive

SETTINGS = "batch_size=1000, AsyncpgDriver, durability durable (its default); bulk: Queries.enqueue of 5,000"


async def install(url):
    connection = await asyncpg.connect(url)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()


class Sender(AsyncpgSender):
    batch = 5_000

    def __init__(self, connection, url):
        super().__init__(connection, url)
        self._queries = Queries(AsyncpgDriver(connection))

    async def many(self, payloads):
        count = len(payloads)
        await self._queries.enqueue(
            ["work"] * count, [json.dumps(item).encode() for item in payloads], [0] * count
        )

    async def send(self, payload):
        await self._queries.enqueue("work", json.dumps(payload).encode())


async def work(task, handle):
    manager = PgQueuer(AsyncpgDriver(await asyncpg.connect(task["url"])))

    @manager.entrypoint("work")
    async def handler(job):
        await handle(json.loads(job.payload)["n"])

    await manager.run(batch_size=1000 if task["tuned"] else 10)


drive("pgqueuer", SETTINGS, install, Sender.at, work)
