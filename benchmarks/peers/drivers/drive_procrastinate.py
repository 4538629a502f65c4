"""procrastinate: one worker."""

import logging
import time
from contextlib import asynccontextmanager

import procrastinate
import psycopg
from protocol import drive

SETTINGS = "concurrency=30, pool of 20; bulk: batch_defer_async of 1,000"


def app_at(url):
    return procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=20))


async def install(url):
    async with app_at(url).open_async() as app:
        await app.schema_manager.apply_schema_async()


class Sender:
    batch = 1_000

    def __init__(self, app, connection):
        self._app = app
        self._connection = connection

    async def many(self, payloads):
        await self._app.configure_task("work").batch_defer_async(*payloads)

    async def one(self, payload):
        await self._app.configure_task("work", connection=self._connection).defer_async(**payload)
        at = time.monotonic()
        await self._connection.commit()
        return at


@asynccontextmanager
async def sender(url):
    async with app_at(url).open_async() as app, await psycopg.AsyncConnection.connect(url) as connection:
        yield Sender(app, connection)


async def work(task, handle):
    logging.disable(logging.WARNING)
    app = app_at(task["url"])

    @app.task(name="work")
    async def handler(n, pad):
        await handle(n)

    options = {"concurrency": 30} if task["tuned"] else {"concurrency": task["concurrency"]}
    async with app.open_async():
        await app.run_worker_async(install_signal_handlers=False, **options)


drive("procrastinate", SETTINGS, install, sender, work)
