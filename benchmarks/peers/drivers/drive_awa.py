"""Awa: the Python worker on its Rust runtime."""

import asyncio
from dataclasses import dataclass

from asyncpg_sender import AsyncpgSender
from awa import AsyncClient
from awa.bridge import insert_job
from protocol import drive

SETTINGS = "max_workers=200, claimers=2, claim_batch_size=512; bulk: enqueue_many_copy of 5,000"
TUNED = {"name": "peers", "max_workers": 200, "claimers": 2, "claim_batch_size": 512}


@dataclass
class Work:
    n: int
    pad: str


def client_at(url):
    return AsyncClient(url.replace("@/", "@localhost/"))  # wants a host, also beside ?host=/a/socket


async def install(url):
    client = client_at(url)
    await client.migrate()
    await client.install_queue_storage()


class Sender(AsyncpgSender):
    batch = 5_000

    def __init__(self, connection, url):
        super().__init__(connection, url)
        self._client = client_at(url)

    async def many(self, payloads):
        await self._client.enqueue_many_copy([Work(**item) for item in payloads], queue="peers")

    async def send(self, payload):
        await insert_job(self.connection, Work(**payload), queue="peers")


async def work(task, handle):
    client = client_at(task["url"])

    @client.task(Work, queue="peers")
    async def handler(job):
        await handle(job.args.n)

    await client.start([TUNED if task["tuned"] else ("peers", task["concurrency"])])
    await asyncio.Event().wait()


drive("awa-pg", SETTINGS, install, Sender.at, work)
