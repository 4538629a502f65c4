"""Oban for Python: one queue."""

import asyncio
import time
from contextlib import asynccontextmanager

import psycopg
from oban import Oban, worker
from oban.schema import install as install_schema
from protocol import drive, priority_of

SETTINGS = "limit=200, debounce_interval=0.001, pool of 10; bulk: enqueue_many of 1,000"
TUNED = {"limit": 200, "debounce_interval": 0.001}


async def install(url, _feature=None):
    pool = await Oban.create_pool(dsn=url)
    await install_schema(pool)
    await pool.close()


@worker(queue="peers")
class Work:
    handle = None

    async def process(self, job):
        await Work.handle(job.args["n"])


class Sender:
    batch = 1_000

    def __init__(self, oban, connection):
        self._oban = oban
        self._connection = connection

    async def many(self, payloads):
        has_priority = self.feature == "priority"
        jobs = [Work.new(item, priority=priority_of(item) if has_priority else 0) for item in payloads]
        await self._oban.enqueue_many(*jobs)

    async def one(self, payload):
        await self._oban.enqueue(Work.new(payload), conn=self._connection)
        at = time.monotonic()
        await self._connection.commit()
        return at


@asynccontextmanager
async def sender(url):
    pool = await Oban.create_pool(dsn=url)
    try:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            yield Sender(Oban(pool=pool), connection)
    finally:
        await pool.close()


async def work(task, handle):
    Work.handle = staticmethod(handle)
    queue = TUNED if task["tuned"] else {"limit": task["concurrency"]}
    async with Oban(pool=await Oban.create_pool(dsn=task["url"]), queues={"peers": queue}):
        await asyncio.Event().wait()


drive("oban", SETTINGS, install, sender, work, ("priority",))
