"""PgQueuer: one queue manager on an asyncpg connection.

It limits entrypoints, so a group is an entrypoint of its own.
"""

import json

import asyncpg
from asyncpg_sender import AsyncpgSender
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from protocol import GROUPS, drive, group_of, key_of, priority_of

SETTINGS = "batch_size=1000, AsyncpgDriver, durability durable (its default); bulk: Queries.enqueue of 5,000"


async def install(url, _feature=None):
    connection = await asyncpg.connect(url)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()


class Sender(AsyncpgSender):
    batch = 5_000

    def __init__(self, connection, url):
        super().__init__(connection, url)
        self._queries = Queries(AsyncpgDriver(connection))

    async def many(self, payloads):
        texts = [json.dumps(item).encode() for item in payloads]
        names, priorities, options = ["work"] * len(texts), [0] * len(texts), {}
        if self.feature == "unique":
            options = {"dedupe_key": [key_of(item) for item in payloads], "on_conflict": "skip"}
        elif self.feature == "priority":
            priorities = [priority_of(item) for item in payloads]
        elif self.feature == "limited":
            names = [group_of(item) for item in payloads]
        await self._queries.enqueue(names, texts, priorities, **options)

    async def send(self, payload):
        await self._queries.enqueue("work", json.dumps(payload).encode())


async def work(task, handle):
    manager = PgQueuer(AsyncpgDriver(await asyncpg.connect(task["url"])))

    async def handler(job):
        await handle(json.loads(job.payload)["n"])

    if task.get("feature") == "limited":
        for number in range(GROUPS):
            manager.entrypoint(group_of({"n": number}), concurrency_limit=1)(handler)
    else:
        manager.entrypoint("work")(handler)
    await manager.run(batch_size=1000 if task["tuned"] else 10)


drive("pgqueuer", SETTINGS, install, Sender.at, work, ("unique", "priority", "limited"))
