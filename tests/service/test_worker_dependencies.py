"""Messages that wait for others, with workers at work: each way to end one opens or cancels what waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Context, Dead, Retry, worker
from postmill.model.events import Event
from tests.service.running import running

if TYPE_CHECKING:
    import asyncpg


async def send(
    db: asyncpg.Connection, payload: int, *sources: int, queue: str = "tasks", more: str = ""
) -> int:
    """Send a number after other messages of the queue ``tasks``."""
    refs = [f"tasks:{source}" for source in sources] or None
    sent: int = await db.fetchval(
        f"select postmill.send($1, to_jsonb($2::int), after => $3::text[] {more})", queue, payload, refs
    )
    return sent


@pytest.mark.parametrize("connections", [2, 4])
@pytest.mark.parametrize("on_success", ["archive", "delete"])
@pytest.mark.parametrize("way", ["plain", "transaction", "batch", "results"])
async def test_what_waits_runs_after_its_sources_and_never_before(
    database_url: str, adb: asyncpg.Connection, way: str, on_success: str, connections: int
) -> None:
    begun: list[int] = []

    async def plain(number: int) -> int:
        begun.append(number)
        return number

    async def in_transaction(number: int, ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("select 1")
            begun.append(number)

    async def in_batch(numbers: list[int]) -> None:
        begun.extend(numbers)

    options: dict[str, Any] = {"on_success": on_success, "max_pg_connections": connections}
    match way:
        case "transaction":
            handle = worker(**options)(in_transaction)
        case "batch":
            handle = worker(batch=5, **options)(in_batch)
        case _:
            handle = worker(keep_results=way == "results", **options)(plain)
    async with running(database_url, handle) as run:
        await run.idle()
        first, second = await send(adb, 1), await send(adb, 2)
        both = await send(adb, 3, first, second)
        await send(adb, 4, both)
        await send(adb, 5, both, more=", delay => '0.1 s'")
        await run.until(Event.MESSAGE_COMPLETED, count=5)
    assert begun.index(3) > max(begun.index(1), begun.index(2))
    assert begun.index(3) < min(begun.index(4), begun.index(5))
    assert sorted(begun) == [1, 2, 3, 4, 5]
    left = "select (select count(*) from postmill.edges) + (select count(*) from postmill.blocked)"
    assert await adb.fetchval(left) == 0


async def test_a_failed_source_cancels_what_waits_and_its_else_is_sent(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """A failed source that blocked its targets for ever."""

    @worker(retry=Retry.fixed(0, 2))
    async def handle(number: int) -> None:
        if number == 1:
            raise ValueError

    async with running(database_url, handle) as run:
        await run.idle()
        first = await send(adb, 1, more=""", delay => '0.2 s'""")
        second = await send(adb, 2, first)
        more = """, else_send => '{"queue": "tasks", "message": 9}'"""
        third = await send(adb, 3, second, more=more)
        skips = await send(adb, 4, first, more=", on_source_dead => 'skip'")
        await run.until(Event.MESSAGE_DEAD)
        done = await run.until(Event.MESSAGE_COMPLETED, count=2)
        assert sorted(each["msg_id"] for each in done) == [skips, skips + 1]
    cancelled = await adb.fetch("select msg_id from postmill.cancelled order by 1")
    assert [row["msg_id"] for row in cancelled] == [second, third]


async def test_a_running_source_that_is_cancelled(database_url: str, adb: asyncpg.Connection) -> None:
    begun = asyncio.Event()

    @worker
    async def handle(number: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with running(database_url, handle) as run:
        source = await send(adb, 1)
        target = await send(adb, 2, source)
        await begun.wait()
        await adb.execute("select postmill.cancel('tasks', $1)", source)
        await run.until(Event.MESSAGE_CANCELLED)
    cancelled = await adb.fetch("select msg_id from postmill.cancelled order by 1")
    assert [row["msg_id"] for row in cancelled] == [source, target]


async def test_a_source_that_another_client_archives_is_found_by_the_workers(
    database_url: str, adb: asyncpg.Connection
) -> None:
    await adb.execute("select pgmq.create('theirs')")

    @worker
    async def handle(number: int) -> None: ...

    async with running(database_url, handle) as run:
        await run.idle()
        await adb.execute("select pgmq.send('theirs', '1')")
        await adb.execute("select postmill.send('tasks', '2', after => array['theirs:1'])")
        await adb.execute("select pgmq.archive('theirs', 1)")
        await run.until(Event.MESSAGE_COMPLETED)


async def test_then_is_sent_with_the_completion_and_not_without_it(
    database_url: str, adb: asyncpg.Connection
) -> None:
    @worker(retry=Retry.fixed(0, 3))
    async def handle(number: int, ctx: Context) -> None:
        if number == 1 and ctx.attempt < 3:
            raise ValueError
        if number == 2:
            raise Dead("no")

    follow = """'{{"queue": "tasks", "message": {}}}'"""
    more = f", then_send => {follow.format(8)}, else_send => {follow.format(9)}"
    async with running(database_url, handle) as run:
        await send(adb, 1, more=more)
        await send(adb, 2, more=more)
        await run.until(Event.MESSAGE_COMPLETED, count=3)
    sent = await adb.fetch("select message::int as number from pgmq.a_tasks order by 1")
    assert [row["number"] for row in sent] == [1, 8, 9]
