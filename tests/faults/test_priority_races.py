"""Twenty connections on one queue with priorities: claims by priority, and clients that send, read, move,
archive and delete its messages meanwhile. Each message ends once, and none is lost.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.claim.lanes import QueueLanes
from postmill.model.config.address import Address
from postmill.model.queue.queue_name import QueueShape
from postmill.model.queue.worker_options import WorkerOptions
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.model.queue.message import Claim, Message

WORKERS, CLIENTS = 12, 8
SENT = 1_500
GIVE_UP_S = 100
SETTLE = "delete from pgmq.q_tasks where msg_id = $1 and read_ct = $2 and vt = $3 returning msg_id"
BACK = "update pgmq.q_tasks set vt = clock_timestamp() where msg_id = $1 and read_ct = $2 and vt = $3"
HEADERS = ["null", "{}", *(f'{{"postmill-priority": {n}}}' for n in range(10)), '{"postmill-priority": [9]}']


class Race:
    """What was sent, and where each message ended."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sent: set[int] = set()
        self.ended: list[int] = []
        self.sending = True

    @asynccontextmanager
    async def lanes(self) -> AsyncIterator[tuple[Any, QueueLanes, list[Message]]]:
        """A session, lanes that claim as a worker does, and what they have claimed."""
        held: list[Message] = []

        def take(_claim: Claim, messages: list[Message], _to_park: object) -> None:
            held.extend(messages)

        async def shape() -> QueueShape:
            [row] = await db.fetch(statement("queue_shape"), "tasks")
            return QueueShape.of(dict(row))

        db = await asyncpg.connect(self.url)
        connection = SharedConnection(Address(self.url), "race")
        lanes = QueueLanes(connection, uuid4(), WorkerOptions(queue="tasks"), shape, take)
        await lanes.begin()
        try:
            yield db, lanes, held
        finally:
            await connection.close()
            await db.close()

    async def worker(self, seed: int) -> None:
        """Claims as a worker does, completes most messages and puts some back."""
        chance = random.Random(seed)
        async with self.lanes() as (db, lanes, held):
            while self.sending or await db.fetchval("select exists (select from pgmq.q_tasks)"):
                await lanes.snapshot(idle=True)
                await lanes.ahead(chance.randrange(1, 9))
                await lanes.behind(chance.randrange(1, 9))
                while held:
                    self.ended += await self.settled(db, held.pop(), again=chance.random() < 0.1)

    async def settled(self, db: Any, message: Message, *, again: bool) -> list[int]:
        """The message's id, if this worker has ended it."""
        ended = await db.fetchval(BACK if again else SETTLE, message.msg_id, message.read_ct, message.vt)
        return [ended] if ended else []

    async def client(self, seed: int) -> None:
        """Another pgmq client: sends, also slowly, and does what it likes to messages that are there."""
        chance = random.Random(seed)
        db = await asyncpg.connect(self.url)
        while len(self.sent) < SENT:
            transaction = db.transaction()
            await transaction.start()
            ids = [
                await db.fetchval("select pgmq.send('tasks', '1', $1::jsonb)", chance.choice(HEADERS))
                for _ in range(chance.randrange(1, 6))
            ]
            await asyncio.sleep(chance.random() / 50)  # commits late
            if chance.random() < 0.1:
                await transaction.rollback()
            else:
                await transaction.commit()
                self.sent.update(ids)
            await self.meddle(db, chance, chance.choice(ids))
        await db.close()

    async def meddle(self, db: Any, chance: random.Random, msg_id: int) -> None:
        match chance.randrange(6):
            case 0:
                await db.fetch("select * from pgmq.read('tasks', 0, 2)")
            case 1:
                await db.fetch(
                    "select pgmq.set_vt('tasks', $1::bigint, $2::integer)", msg_id, chance.choice([-90, 0])
                )
            case 2:
                if await db.fetchval("select pgmq.archive('tasks', $1::bigint)", msg_id):
                    self.ended.append(msg_id)
            case 3:
                if await db.fetchval("select pgmq.delete('tasks', $1::bigint)", msg_id):
                    self.ended.append(msg_id)
            case 4:
                async with db.transaction():  # keeps rows locked while claims come by
                    await db.fetch(
                        "select 1 from pgmq.q_tasks order by msg_id limit 5 for update skip locked"
                    )
                    await asyncio.sleep(0.01)


@pytest.fixture
async def race(database_url: str, adb: asyncpg.Connection) -> Race:
    await adb.execute("select postmill.create_queue('tasks')")
    await adb.execute("select postmill.enable_priority('tasks', $1)", timedelta(seconds=1))
    return Race(database_url)


async def test_twenty_connections_lose_nothing_and_end_nothing_twice(
    race: Race, adb: asyncpg.Connection
) -> None:

    async def clients() -> None:
        try:
            await asyncio.gather(*(race.client(number) for number in range(CLIENTS)))
        finally:
            race.sending = False

    async with asyncio.timeout(GIVE_UP_S):
        await asyncio.gather(clients(), *(race.worker(100 + number) for number in range(WORKERS)))
    assert sorted(race.ended) == sorted(race.sent)
    assert await adb.fetchval("select count(*) from pgmq.q_tasks") == 0


async def test_what_another_client_has_moved_is_ended_by_who_has_it(
    race: Race, adb: asyncpg.Connection
) -> None:
    """By its id alone the first worker would have ended it too."""
    await adb.execute("select pgmq.send('tasks', '1')")
    async with race.lanes() as (db, first, lost), race.lanes() as (_, second, held):
        await first.ahead(1)
        await adb.execute("select pgmq.set_vt('tasks', 1, -90)")
        await second.ahead(1)
        assert [each.msg_id for each in (*lost, *held)] == [1, 1]
        assert await race.settled(db, *lost, again=False) == []
        assert await race.settled(db, *held, again=False) == [1]
