"""What a message can ask for, with a worker at work, on the shapes of older pgmq releases."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from postmill import AsyncClient, Context, Dead, Then, worker
from postmill.db.tools.migrate import migrate
from postmill.model.errors import PostmillError
from postmill.model.events import Event
from tests.interop.pgmq_shapes import RELEASES, Release
from tests.service.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.handlers import Worker
    from tests.sql.asking import Database

QUEUE = "jobs"
LIMIT = 2
ASKED: dict[str, dict[str, Any]] = {
    "group_key": {"group_key": "acme"},
    "unique_key": {"unique_key": "only"},
    "priority": {"priority": 9},
    "then_send": {"then_send": Then(QUEUE, "next")},
    "else_send": {"else_send": Then(QUEUE, "next")},
}


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
async def release(request: pytest.FixtureRequest, empty: Database, empty_url: str) -> Release:
    """An installed release, with our schema on it and a queue ``jobs``."""
    release: Release = request.param
    empty.execute(release.sql.encode())
    migrate(empty)
    empty.execute(b"select postmill.create_queue('jobs')")
    return release


@pytest.fixture
async def connection(release: Release, empty_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A session on it."""
    connection = await asyncpg.connect(empty_url)
    yield connection
    await connection.close()


class Seen:
    """What the handler saw: payloads in the order in which they began, and how many ran at once."""

    def __init__(self) -> None:
        self.order: list[Any] = []
        self.running: Counter[bool] = Counter()
        self.most: Counter[bool] = Counter()

    def handler(self, *, max_concurrent: int = 8) -> Worker:
        @worker(queue=QUEUE, max_concurrent=max_concurrent)
        async def handle(payload: Any, ctx: Context) -> None:
            grouped = "postmill-group" in (ctx.message.headers or {})
            self.order.append(payload)
            self.running[grouped] += 1
            self.most[grouped] = max(self.most[grouped], self.running[grouped])
            await asyncio.sleep(0.02)
            self.running[grouped] -= 1
            if payload == "dies":
                raise Dead("as told")

        return handle


with_headers = pytest.mark.parametrize(
    "release", [each for each in RELEASES if each.has_headers], ids=lambda each: each.name, indirect=True
)
without_headers = pytest.mark.parametrize(
    "release", [each for each in RELEASES if not each.has_headers], ids=lambda each: each.name, indirect=True
)


@with_headers
async def test_limits_keys_dependencies_and_follow_ups(
    connection: asyncpg.Connection, empty_url: str
) -> None:
    client, seen = AsyncClient(connection), Seen()
    await client.limit_groups(QUEUE, max_running=LIMIT)
    first = await client.send(QUEUE, "first", unique_key="only")
    again = await client.send(QUEUE, "again", unique_key="only")
    for each in range(12):
        await client.send(QUEUE, each, group_key="acme")
        await client.send(QUEUE, 100 + each)
    await client.send(QUEUE, "after", after=[first])
    await client.send(QUEUE, "dies", else_send=Then(QUEUE, "sorry"))
    await client.send(QUEUE, "ends", then_send=Then(QUEUE, "next"))
    every = {"first", "after", "dies", "sorry", "ends", "next", *range(12), *range(100, 112)}

    async with running(empty_url, seen.handler()) as run:
        await run.until(Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD, count=len(every))
        await run.let_go()

    assert (again, again.existed) == (first, True)
    assert seen.most[True] == LIMIT
    assert seen.most[False] > LIMIT  # the control: what is in no group did overlap
    assert len(seen.order) == len(every)
    assert set(seen.order) == every
    assert seen.order.index("after") > seen.order.index("first")
    assert await connection.fetchval("select count(*) from pgmq.q_jobs") == 0
    assert await connection.fetchval("select count(*) from postmill.gates") == 0


@with_headers
async def test_priorities(connection: asyncpg.Connection, empty_url: str) -> None:
    client, seen = AsyncClient(connection), Seen()
    await connection.execute("select postmill.enable_priority($1)", QUEUE)
    for each in (0, 3, 9, 5):
        await client.send(QUEUE, each, priority=each)
    async with running(empty_url, seen.handler(max_concurrent=1)) as run:
        await run.until(Event.MESSAGE_COMPLETED, count=4)
    assert seen.order == [9, 5, 3, 0]


@without_headers
@pytest.mark.parametrize("asked", ASKED)
async def test_without_headers_each_is_refused_in_words(
    connection: asyncpg.Connection, empty_url: str, asked: str
) -> None:
    """And sends nothing: a message that asks for nothing is worked on as ever."""
    client, seen = AsyncClient(connection), Seen()
    with pytest.raises(PostmillError, match="has no headers"):
        await client.send(QUEUE, "asks", **ASKED[asked])
    plain = await client.send(QUEUE, "plain")
    with pytest.raises(PostmillError, match="has no headers"):
        await client.send(QUEUE, "waits", after=[plain])
    async with running(empty_url, seen.handler()) as run:
        await run.until(Event.MESSAGE_COMPLETED)
    assert seen.order == ["plain"]


@without_headers
@pytest.mark.parametrize(
    "statement",
    ["limit_groups('jobs', 2)", "limit_queue('jobs', max_running => 2)", "enable_priority('jobs')"],
)
async def test_without_headers_limits_are_refused_in_words(
    connection: asyncpg.Connection, statement: str
) -> None:
    with pytest.raises(asyncpg.PostgresError) as refused:
        await connection.execute(f"select postmill.{statement}")
    assert refused.value.sqlstate == "PM004"
