"""Runs workers inside a test, and waits for what they report: by signals, never by the clock."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.engine.engine import Engine
from postmill.model.config.address import Address
from postmill.model.events import Event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from postmill.engine.engine import MakeService
    from postmill.engine.handler import Handler
    from postmill.engine.worker import QueueWorker
    from postmill.model.config.release import Release

GIVE_UP_S = 60.0
"""Ends a test that would hang; no test measures anything by it."""

ENDS = (
    Event.MESSAGE_COMPLETED,
    Event.MESSAGE_RETRYING,
    Event.MESSAGE_SNOOZED,
    Event.MESSAGE_DEAD,
    Event.MESSAGE_CANCELLED,
    Event.LEASE_LOST,
)
"""The ways in which an attempt is seen to end."""


class Running:
    """Workers at work on a test's database, and everything they have said so far."""

    def __init__(self, engine: Engine, url: str, db: Any) -> None:
        self.engine = engine
        self.url = url
        self.db = db
        """A connection of the test's own."""
        self.said: list[tuple[Event, dict[str, Any]]] = []
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        engine.events.listeners.append(self._heard)
        engine.on_worker.append(lambda worker: worker.events.listeners.append(self._heard))

    @property
    def worker(self) -> QueueWorker:
        """The only worker."""
        (worker,) = self.engine.workers
        return worker

    def events(self, *wanted: Event) -> list[dict[str, Any]]:
        """What was said under these names."""
        return [fields for event, fields in self.said if event in wanted]

    def ends(self, msg_id: int) -> list[Event]:
        """How the attempts at one message ended, in order."""
        return [event for event, fields in self.said if event in ENDS and fields.get("msg_id") == msg_id]

    async def until(self, *wanted: Event, count: int = 1) -> list[dict[str, Any]]:
        """Wait until events of these names were said ``count`` times in all."""
        await self.until_true(lambda: len(self.events(*wanted)) >= count)
        return self.events(*wanted)

    async def until_true(self, condition: Callable[[], bool]) -> None:
        """Wait for something that can only come true when a worker says something."""
        async with asyncio.timeout(GIVE_UP_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def send(self, payload: str, queue: str = "tasks", **headers: str) -> int:
        """Send JSON text the way another client would: with pgmq's own function."""
        msg_id: int = await self.db.fetchval(
            "select * from pgmq.send($1, $2::jsonb)"
            if not headers
            else "select * from pgmq.send($1, $2::jsonb, jsonb_build_object('postmill-task', $3::text))",
            queue,
            payload,
            *headers.values(),
        )
        return msg_id

    async def count(self, table: str) -> int:
        """Rows of a table, or of anything that can stand after ``from``."""
        number: int = await self.db.fetchval(f"select count(*) from {table}")
        return number

    async def renewals(self, msg_id: int, times: int, queue: str = "tasks") -> None:
        """Wait until the lease of a message was pushed further ``times`` times."""
        vt = f"(select vt from pgmq.q_{queue} where msg_id = {msg_id})"
        for _ in range(times):
            seen = await self.db.fetchval(f"select {vt}::text")
            await self.true_in_database(f"{vt} > '{seen}'::timestamptz")

    async def true_in_database(self, condition: str) -> None:
        """Wait for what no worker says, and only the database shows."""
        async with asyncio.timeout(GIVE_UP_S):
            while not await self.db.fetchval(f"select {condition}"):  # noqa: ASYNC110 - nobody else says it
                await asyncio.sleep(0.02)

    async def let_go(self) -> None:
        """Wait until no claim is left: settling a lost message is not worth an event."""
        await self.true_in_database("not exists (select from postmill.claims)")

    async def idle(self, queue: str = "tasks", count: int = 1) -> None:
        """Wait until the workers of a queue have nothing to do and have asked to be woken. A worker looks
        once more after it has asked: those of this process have done that too.
        """
        await self.true_in_database(
            f"(select count(*) >= {count} from postmill.idle_workers where queue_name = '{queue}')"
        )
        ours = [each.claimer for each in self.engine.workers if each.handler.options.queue == queue]
        async with asyncio.timeout(GIVE_UP_S):
            while sum(each.rests is not None for each in ours) < min(count, len(ours)):  # noqa: ASYNC110
                await asyncio.sleep(0.005)  # a rest is said nowhere

    async def connections(self) -> int:
        """Connections to this database that are not the test's own."""
        return await self.count(
            "pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )

    async def account(self, queue: str = "tasks") -> dict[str, int]:
        """Where the queue's messages are: each is in exactly one place."""
        return {
            "queue": await self.count(f"pgmq.q_{queue}"),
            "archive": await self.count(f"pgmq.a_{queue}"),
            "dead": await self.count(f"postmill.dead_letters where queue_name = '{queue}'"),
            "claims": await self.count("postmill.claims"),
        }

    def _heard(self, event: Event, fields: dict[str, Any]) -> None:
        self.said.append((event, dict(fields)))
        try:
            inside = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            inside = False
        if inside:
            self._news.set()
        else:
            self._loop.call_soon_threadsafe(self._news.set)


@asynccontextmanager
async def running(
    url: str,
    *workers: Handler,
    begin: bool = True,
    address: Address | None = None,
    services: Sequence[MakeService] = (),
    release: Release | None = None,
) -> AsyncIterator[Running]:
    """Start ``workers``, hand them out, and stop them. Their queues exist when this yields. ``address``: the
    workers' own way to the database at ``url``. ``services``: what else runs on their connections.
    ``release``: of which release they are.
    """
    engine = Engine(workers, address or Address(url), services)
    engine.release = release or engine.release
    db = await asyncpg.connect(url)
    run = Running(engine, url, db)
    try:
        if begin:
            await engine.start()
        yield run
    finally:
        async with asyncio.timeout(GIVE_UP_S):
            await engine.stop()
        await db.close()


async def finished(run: Running, count: int) -> dict[str, int]:
    """Wait until ``count`` messages have left the queue for good, and account for all of them."""
    await run.until(Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD, Event.MESSAGE_CANCELLED, count=count)
    return await run.account()
