"""Every feature of a message on the same two queues at once: groups, limits, priorities, unique keys,
dependencies, follow-ups, delays, retries and deaths; with another client among them and sessions that are
ended.

Whatever happens, each message ends once, no limit is exceeded, and nothing that was kept beside the messages
is left over.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from postmill import AsyncClient, Context, Dead, Retry, Then, worker
from postmill.model.events import Event
from tests.service.running import running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill import Sent
    from postmill.handlers import Worker

QUEUES = ("mixed", "other")
GROUPS = 6
GROUP_LIMIT = 2
GIVE_UP_S = 120.0
SIDES = {
    "gates": "postmill.gates",
    "blocked": "postmill.blocked",
    "edges": "postmill.edges",
    "claims": "postmill.claims",
}
"""What is kept beside messages that have not ended."""
ENDED = """
    select count(*) from (
        select msg_id from pgmq.a_{0} union all
        select msg_id from postmill.dead_letters where queue_name = '{0}' union all
        select msg_id from postmill.cancellations where queue_name = '{0}' and cancelled_at is not null
    ) as ended
"""


class RolledBackError(Exception):
    """A sender has thought better of it."""


class World:
    """What handlers see of each other, and what senders have sent."""

    def __init__(self, seed: int, *, together: int = 1) -> None:
        self.random = random.Random(seed)
        self.together = together
        """None of a group ends before so many have run at once."""
        self._met = asyncio.Event()
        self.in_group: Counter[str] = Counter()
        self.too_many: list[str] = []
        self.completed: Counter[tuple[str, int]] = Counter()
        self.sent: list[Sent] = []

    def handler(self, queue: str) -> Worker:
        @worker(queue=queue, max_concurrent=8, retry=Retry.fixed(0.05, max_attempts=3))
        async def handle(payload: dict[str, Any], ctx: Context) -> None:
            group = (ctx.message.headers or {}).get("postmill-group")
            key = f"{queue}/{group}"
            if group is not None:
                self.in_group[key] += 1
                if self.in_group[key] > GROUP_LIMIT:
                    self.too_many.append(key)
            try:
                await self._run(key)
                if payload["fate"] == "dies":
                    raise Dead("it was told to")
                if payload["fate"] == "fails" and ctx.attempt == 1:
                    raise ValueError("the first time")
            finally:
                if group is not None:
                    self.in_group[key] -= 1
            self.completed[queue, ctx.message.msg_id] += 1

        return handle

    async def _run(self, key: str) -> None:
        if self.in_group[key] >= self.together:
            self._met.set()
        if key in self.in_group:
            await self._met.wait()
        await asyncio.sleep(self.random.random() * 0.01)

    def options(self) -> dict[str, Any]:
        """What the next message asks for."""
        roll = self.random.random
        options: dict[str, Any] = {}
        if roll() < 0.5:
            options["group_key"] = f"g{self.random.randrange(GROUPS)}"
        if roll() < 0.3:
            options["priority"] = self.random.randrange(10)
        if roll() < 0.2:
            options["unique_key"] = f"k{self.random.randrange(20)}"
            options["on_conflict"] = self.random.choice(["skip", "replace"])
        if self.sent and roll() < 0.3:
            options["after"] = self.random.sample(self.sent, min(len(self.sent), self.random.randint(1, 3)))
            options["on_source_dead"] = self.random.choice(["cancel", "skip"])
        if roll() < 0.1:
            options["delay"] = roll() * 0.2
        if roll() < 0.1:
            options["then_send"] = Then(self.random.choice(QUEUES), {"fate": "ends"})
        return options

    async def send(self, url: str, messages: int) -> None:
        """Send so many, in transactions of which some are rolled back. Two that send the same keys in another
        order may wait for each other, as the how-to says: then the server rolls one of them back.
        """
        connection = await asyncpg.connect(url)
        client = AsyncClient(connection)
        try:
            for _ in range(messages):
                with suppress(asyncpg.DeadlockDetectedError, RolledBackError):
                    async with connection.transaction():
                        sent = [await self._send_one(client) for _ in range(self.random.randint(1, 3))]
                        if self.random.random() < 0.2:
                            raise RolledBackError
                    self.sent += sent
        finally:
            await connection.close()

    async def _send_one(self, client: AsyncClient) -> Sent:
        fate = self.random.choices(["ends", "fails", "dies"], [8, 1, 1])[0]
        return await client.send(self.random.choice(QUEUES), {"fate": fate}, **self.options())

    async def meddle(self, url: str, times: int) -> None:
        """Another client, which knows pgmq only: sends with our headers, archives, deletes, moves vt."""
        connection = await asyncpg.connect(url)
        try:
            for _ in range(times):
                await self._meddle_once(connection)
                await asyncio.sleep(0.01)
        finally:
            await connection.close()

    async def _meddle_once(self, connection: asyncpg.Connection) -> None:
        queue = self.random.choice(QUEUES)
        headers = self.random.choice(
            [{"postmill-group": "g1"}, {"postmill-after": True}, {"postmill-priority": {"a": 1}}, [1], "text"]
        )
        acts: list[Callable[[], Awaitable[Any]]] = [
            lambda: connection.execute(
                'select pgmq.send($1, \'{"fate": "ends"}\'::jsonb, $2::jsonb)', queue, json.dumps(headers)
            ),
            lambda: connection.execute(
                f"select pgmq.set_vt($1, msg_id, 0) from pgmq.q_{queue} where read_ct = 0 limit 1", queue
            ),
        ]
        await self.random.choice(acts)()


async def end_a_session(connection: asyncpg.Connection) -> None:
    """End one of the workers' sessions, whatever it does."""
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
        " and application_name like 'postmill %' and application_name not like '%heartbeat%'"
        " order by random() limit 1"
    )


async def settled(connection: asyncpg.Connection) -> bool:
    """Whether every message has ended, and nothing is kept beside them."""
    for queue in QUEUES:
        if await connection.fetchval(f"select count(*) from pgmq.q_{queue}"):
            return False
    return not any([await connection.fetchval(f"select count(*) from {side}") for side in SIDES.values()])


async def prepare(adb: asyncpg.Connection, limit: int) -> None:
    """Make the queues."""
    for queue in QUEUES:
        await adb.execute("select postmill.create_queue($1)", queue)
        await adb.execute("select postmill.limit_groups($1, $2)", queue, limit)
        await adb.execute("select postmill.enable_priority($1)", queue)


async def played(world: World, url: str, adb: asyncpg.Connection, *, messages: int, ends: int) -> None:
    """All of it, until every message has ended."""
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(running(url, *map(world.handler, QUEUES)))
        senders = (world.send(url, messages) for _ in range(3))
        work = asyncio.gather(*senders, world.meddle(url, messages))
        for _ in range(ends):
            await asyncio.sleep(0.1)
            await end_a_session(adb)
        await work
        async with asyncio.timeout(GIVE_UP_S):
            while not await settled(adb):  # noqa: ASYNC110 - only the database shows it
                await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("seed", "messages", "ends"),
    [
        (1, 60, 3),
        pytest.param(2, 600, 40, marks=pytest.mark.slow),
        pytest.param(3, 600, 40, marks=[pytest.mark.slow, pytest.mark.exhaustive]),
    ],
)
async def test_each_message_ends_once_and_nothing_is_left_over(
    database_url: str, adb: asyncpg.Connection, seed: int, messages: int, ends: int
) -> None:
    world = World(seed)
    await prepare(adb, GROUP_LIMIT)
    await played(world, database_url, adb, messages=messages, ends=ends)
    assert world.too_many == []
    for queue in QUEUES:
        given = await adb.fetchval(f"select last_value - (not is_called)::int from pgmq.q_{queue}_msg_id_seq")
        assert await adb.fetchval(ENDED.format(queue)) <= given
        assert await adb.fetchval(f"select count(*) - count(distinct msg_id) from pgmq.a_{queue}") == 0
    for sent in (sent for sent in world.sent if not sent.existed):
        state = await adb.fetchval(
            "select state from postmill.messages($1, only_id => $2)", sent.queue, int(sent)
        )
        assert state in {"completed", "dead", "cancelled"}, (sent.queue, sent, state)


async def test_a_limit_that_is_too_high_is_noticed(database_url: str, adb: asyncpg.Connection) -> None:
    """The control: what the handlers count would show a limit that does not hold."""
    world, too_many = World(4, together=GROUP_LIMIT + 1), GROUP_LIMIT + 1
    await prepare(adb, too_many)
    for _ in range(too_many):
        await adb.execute("select postmill.send('mixed', '{\"fate\": \"ends\"}', group_key => 'g1')")
    async with running(database_url, world.handler("mixed")) as run:
        await run.until(Event.MESSAGE_COMPLETED, count=too_many)
    assert world.too_many == ["mixed/g1"]
