"""Another client drops a queue, makes it anew and empties it, again and again, while messages with every
feature are sent to it and run. Their ids begin at 1 each time, beside all that was kept of the ones before.

A sender learns that the queue, or the message that it refers to, is not there, and meets no other error. What
is sent when the queue stays runs once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill import AsyncClient, Then, worker
from postmill.model.errors import InvalidOption, QueueNotFound
from tests.service.running import running

if TYPE_CHECKING:
    from postmill import Sent
    from postmill.handlers import Worker

ACTS = ("drop", "drop", "purge", "drop", "purge", "drop")
GROUP_LIMIT = 2
MESSAGES = 48
"""Sent at one time: eight of each feature."""
GIVE_UP_S = 60.0
LEFT = """
    select (select count(*) from postmill.gates) + (select count(*) from postmill.edges)
         + (select count(*) from postmill.blocked)
"""


class World:
    """What handlers see of each other."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.in_group: Counter[str] = Counter()
        self.too_many: list[str] = []
        self.early: list[str] = []
        self.news = asyncio.Event()

    def handler(self, queue: str) -> Worker:
        @worker(queue=queue, max_concurrent=8)
        async def handle(payload: dict[str, Any]) -> None:
            group, name = payload.get("group"), payload["name"]
            self.early += [name for source in payload.get("after", []) if not self.ran[source]]
            if group is not None:
                self.in_group[group] += 1
                if self.in_group[group] > GROUP_LIMIT:
                    self.too_many.append(name)
            await asyncio.sleep(0.005)
            if group is not None:
                self.in_group[group] -= 1
            self.ran[name] += 1
            self.news.set()

        return handle

    async def reach(self, names: set[str]) -> None:
        """Wait until each of these has run."""
        async with asyncio.timeout(GIVE_UP_S):
            while not names <= self.ran.keys():
                self.news.clear()
                await self.news.wait()


def asked(number: int, name: str, sent: dict[str, Sent]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A message's payload, which says what the handler has to see to, and its options: of each feature in
    turn.
    """
    payload: dict[str, Any] = {"name": name}
    match number % 6:
        case 0:
            payload["group"] = f"{name.partition('-')[0]}-group-{number % 4}"
            return payload, {"group_key": payload["group"]}
        case 1:
            return payload, {"priority": number % 10}
        case 2:
            return payload, {"unique_key": name, "unique_for": 3600}
        case 3:
            payload["after"] = list(sent)[-2:]
            return payload, {"after": [sent[source] for source in payload["after"]]}
        case 4:
            return payload, {"delay": 0.02}
    return payload, {"then_send": Then("other", {"name": f"{name}-then"})}


async def send_all(client: AsyncClient, sending: str) -> set[str]:
    """Messages of each feature, until the queue is gone. Returns the names of those that will run."""
    sent: dict[str, Sent] = {}
    will_run = set()
    for number in range(MESSAGES):
        name = f"{sending}-{number}"
        payload, options = asked(number, name, sent)
        try:
            sent[name] = await client.send("mixed", payload, **options)
            if "unique_key" in options:
                assert (await client.send("mixed", payload, **options)).existed
        except QueueNotFound:
            break
        except InvalidOption as error:  # the queue is another one by now
            if "has no message" not in error.what:
                raise
            break
        will_run |= {name, f"{name}-then"} if "then_send" in options else {name}
    return will_run


async def act(db: asyncpg.Connection, what: str) -> None:
    """What a client of pgmq's does that knows nothing of us. It may meet a worker in a ring of locks."""
    try:
        if what == "purge":
            await db.execute("select pgmq.purge_queue('mixed')")
        else:
            await db.execute("select pgmq.drop_queue('mixed')")
            await asyncio.sleep(0.01)  # senders and workers find no queue meanwhile
            await db.execute("select pgmq.create('mixed')")
    except asyncpg.DeadlockDetectedError:
        await act(db, what)


async def nothing_left(db: asyncpg.Connection) -> bool:
    """Sweep as workers do, and look."""
    await db.execute("update postmill.edge_sweep set due_at = '-infinity'")
    await db.execute("update postmill.queues set gates_swept_at = '-infinity'")
    await db.execute("select postmill.sweep_dependents(), postmill.sweep_gates('mixed')")
    return not await db.fetchval(LEFT)


async def test_a_queue_that_is_dropped_and_made_anew_under_its_workers(
    database_url: str, adb: asyncpg.Connection
) -> None:
    for queue in ("mixed", "other"):
        await adb.execute("select postmill.create_queue($1)", queue)
    await adb.execute("select postmill.limit_groups('mixed', $1)", GROUP_LIMIT)
    await adb.execute("select postmill.enable_priority('mixed')")
    world = World()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncClient(database_url))
        for _ in range(2):
            await stack.enter_async_context(running(database_url, *map(world.handler, ("mixed", "other"))))
        for number, what in enumerate(ACTS):
            sending = asyncio.create_task(send_all(client, f"round {number}"))
            await world.reach({f"round {number}-0"} if number % 2 else set())
            await act(adb, what)
            await sending
        world.too_many.clear()
        world.early.clear()
        last = await send_all(client, "last")
        await world.reach(last)
    assert len(last) == MESSAGES + MESSAGES // 6
    assert {name: world.ran[name] for name in last} == dict.fromkeys(last, 1)
    assert [name for name in world.too_many + world.early if name.startswith("last")] == []
    async with asyncio.timeout(GIVE_UP_S):
        while not await nothing_left(adb):  # noqa: ASYNC110 - only the database shows it
            await asyncio.sleep(0.05)
