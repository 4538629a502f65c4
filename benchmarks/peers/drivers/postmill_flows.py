"""What both forms of Postmill's flows need to be driven: a worker that makes the flow known, and its runs."""

import asyncio
from contextlib import asynccontextmanager

import asyncpg
import psycopg
from protocol import drive

from postmill.bench.workers import running
from postmill.db.tools.migrate import migrate
from postmill.model.config.address import Address

NAME = "peers"


async def do_nothing(_number):
    pass


class Sender:
    batch = 5_000

    def __init__(self, connection, flow_of):
        self._connection = connection
        self._flow_of = flow_of

    async def many(self, payloads):
        flow = self._flow_of(self.feature, self.steps, do_nothing).options(connection=self._connection)
        given = list(range(self.steps)) if self.feature == "map" else self.steps
        async with self._connection.transaction():
            for _ in payloads:
                await flow.start(given)


def drive_flows(settings, flow_of):
    """``flow_of(feature, steps, handle)`` makes the flow, which takes a list for a map, else a number."""

    async def install(url, feature=None, steps=None):
        with psycopg.connect(url, autocommit=True) as connection:
            migrate(connection)
        if feature:
            async with running(Address(url=url), flow_of(feature, steps, do_nothing).handler()):
                pass

    @asynccontextmanager
    async def sender(url):
        connection = await asyncpg.connect(url)
        try:
            yield Sender(connection, flow_of)
        finally:
            await connection.close()

    async def work(task, handle):
        flow = flow_of(task["feature"], task["steps"], handle)
        async with running(Address(url=task["url"]), flow.handler()):
            await asyncio.Event().wait()

    drive("postmill", settings, install, sender, work, ("runs", "map", "chain"))
