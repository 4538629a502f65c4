"""procrastinate: one worker. A message is unique by its queueing lock, and of a group by its lock."""

import logging
import time
from contextlib import asynccontextmanager

import procrastinate
import psycopg
from protocol import drive, group_of, key_of, priority_of

SETTINGS = "concurrency=30, pool of 20; bulk: batch_defer_async of 1,000"

OPTIONS = {
    "unique": ("queueing_lock", key_of),
    "priority": ("priority", priority_of),
    "limited": ("lock", group_of),
}


def app_at(url):
    return procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=20))


async def install(url, _feature=None):
    async with app_at(url).open_async() as app:
        await app.schema_manager.apply_schema_async()


class Sender:
    batch = 1_000

    def __init__(self, app, connection):
        self._app = app
        self._connection = connection

    async def many(self, payloads):
        if self.feature is None:
            await self._app.configure_task("work").batch_defer_async(*payloads)
            return
        option, value_of = OPTIONS[self.feature]
        batches = {}  # each with one lock or one priority
        for item in payloads:
            batches.setdefault(value_of(item), []).append(item)
        for value, batch in batches.items():
            await self._app.configure_task("work", **{option: value}).batch_defer_async(*batch)

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


drive("procrastinate", SETTINGS, install, sender, work, tuple(OPTIONS))
