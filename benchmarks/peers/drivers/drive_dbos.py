"""DBOS: a queue of workflows, without steps when they stand for messages."""

import asyncio
import logging
import time
from contextlib import asynccontextmanager

import sqlalchemy
from dbos import DBOS, DBOSClient
from protocol import drive

SETTINGS = "polling_interval_sec=0.01, sys_db_pool_size=20; bulk: enqueue_in_transaction, 500 a transaction"
OPTIONS = {"queue_name": "peers", "workflow_name": "work"}


def launch(url, **options):
    logging.disable(logging.WARNING)
    DBOS(config={"name": "peers", "system_database_url": url, "run_admin_server": False, **options})


async def install(url, _feature=None, _steps=None):
    launch(url)
    await asyncio.to_thread(DBOS.launch)
    await asyncio.to_thread(DBOS.destroy)


class Sender:
    batch = 500

    def __init__(self, client, connection):
        self._client = client
        self._connection = connection

    async def many(self, payloads):
        for item in payloads:
            self._client.enqueue_in_transaction(self._connection, OPTIONS, self.steps or item)
        self._connection.commit()

    async def one(self, payload):
        self._client.enqueue_in_transaction(self._connection, OPTIONS, payload)
        at = time.monotonic()
        self._connection.commit()
        return at


@asynccontextmanager
async def sender(url):
    client = DBOSClient(system_database_url=url)
    with sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:")).connect() as connection:
        yield Sender(client, connection)


def limit(task):
    """Runs of flows are done 100 at a time, as by all systems."""
    return {"worker_concurrency": task["concurrency"]} if task.get("feature") else {}


def define(feature, handle):
    """The workflow: of a message its handler is all of it; in flows each step is a checkpoint."""

    @DBOS.step()
    async def step(number):
        await handle(number)
        return number

    async def message(payload):
        await handle(payload["n"])

    async def one_by_one(steps):
        for number in range(steps):
            await step(number)

    async def together(steps):
        await asyncio.gather(*(step(number) for number in range(steps)))

    functions = {None: message, "map": together}
    DBOS.workflow(name="work")(functions.get(feature, one_by_one))


async def work(task, handle):
    options = {"sys_db_pool_size": 20} if task["tuned"] else {}
    launch(task["url"], **options)

    define(task.get("feature"), handle)

    def start():
        DBOS.launch()
        if task["tuned"]:
            DBOS.register_queue("peers", polling_interval_sec=0.01, **limit(task))
        else:
            DBOS.register_queue("peers", worker_concurrency=task["concurrency"])

    await asyncio.to_thread(start)
    await asyncio.Event().wait()


drive("dbos", SETTINGS, install, sender, work, ("runs", "map", "chain"))
