"""Plain pgmq: its own functions on one asyncpg connection, read and delete in a loop, nothing around them."""

import asyncio
import json

import asyncpg
import psycopg
from asyncpg_sender import AsyncpgSender
from protocol import drive

from postmill.db.tools.migrate import migrate

SETTINGS = (
    "read_with_poll of 500 every 100 ms (its default), delete by array of ids; bulk: send_batch of 5,000"
)
READ = "select msg_id, message from pgmq.read_with_poll('peers', 30, 500, 5, 100)"
DELETE = "select pgmq.delete('peers', $1::bigint[])"


async def install(url):
    with psycopg.connect(url, autocommit=True) as connection:
        migrate(connection)  # brings pgmq's own SQL
        connection.execute("select pgmq.create('peers')")


class Sender(AsyncpgSender):
    batch = 5_000

    async def many(self, payloads):
        await self.connection.fetch(
            "select pgmq.send_batch('peers', $1::text[]::jsonb[])", [json.dumps(item) for item in payloads]
        )

    async def send(self, payload):
        await self.connection.fetch("select pgmq.send('peers', $1::text::jsonb)", json.dumps(payload))


async def work(task, handle):
    connection = await asyncpg.connect(task["url"])
    read, delete = await connection.prepare(READ), await connection.prepare(DELETE)
    while True:
        rows = await read.fetch()
        numbers = [json.loads(row["message"])["n"] for row in rows]
        if task["tuned"]:
            for number in numbers:
                await handle(number)
        else:
            await asyncio.gather(*(handle(number) for number in numbers))
        await delete.fetch([row["msg_id"] for row in rows])


drive("pgmq", SETTINGS, install, Sender.at, work)
