"""Postmill: the client, and a worker as ``postmill worker run`` runs it."""

import asyncio

import psycopg
from asyncpg_sender import AsyncpgSender
from protocol import drive, group_of, key_of, priority_of

from postmill.bench.workers import running
from postmill.client import AsyncClient
from postmill.db.tools.migrate import migrate
from postmill.handlers import worker
from postmill.model.config.address import Address

SETTINGS = "on_success=delete, otherwise defaults; bulk: AsyncClient.send_many"
QUEUE = "peers"
OPTIONS = {
    "unique": {"unique_key": key_of},
    "priority": {"priority": priority_of},
    "limited": {"group_key": group_of},
}
SETUP = {
    "priority": "select postmill.enable_priority(%s)",
    "limited": "select postmill.limit_groups(%s, max_running => 1)",
}


async def install(url, feature=None):
    with psycopg.connect(url, autocommit=True) as connection:
        migrate(connection)
        connection.execute("select postmill.create_queue(%s)", [QUEUE])
        if feature in SETUP:
            connection.execute(SETUP[feature], [QUEUE])


class Sender(AsyncpgSender):
    batch = 20_000

    def __init__(self, connection, url):
        super().__init__(connection, url)
        self._client = AsyncClient(connection)

    async def many(self, payloads):
        await self._client.send_many(QUEUE, payloads, **OPTIONS.get(self.feature, {}))

    async def send(self, payload):
        await self._client.send(QUEUE, payload)


async def work(task, handle):
    options = {"on_success": "delete"} if task["tuned"] else {"max_concurrent": task["concurrency"]}

    @worker(queue=QUEUE, **options)
    async def handler(payload: dict):
        await handle(payload["n"])

    async with running(Address(url=task["url"]), handler):
        await asyncio.Event().wait()


drive("postmill", SETTINGS, install, Sender.at, work, tuple(OPTIONS))
