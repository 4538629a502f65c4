"""Queues that change under a running worker: dropped, created again, or of an older shape."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from postmill import Context, Retry, Snooze, worker
from postmill.db.tools.migrate import migrate
from postmill.model.events import Event
from tests.service.running import running


@pytest.fixture(autouse=True)
def quick_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postmill.engine.maintain.heartbeat.PERIOD_S", 0.3)


async def test_a_queue_that_is_dropped_and_created_again_starts_over(database_url: str) -> None:
    """Its ids start again at 1, behind where the worker had got to."""
    seen = []

    @worker(max_poll_seconds=0.2)
    async def handle(payload: str) -> None:
        seen.append(payload)

    async with running(database_url, handle) as run:
        for number in range(20):
            await run.send(f'"old {number}"')
        await run.until(Event.MESSAGE_COMPLETED, count=20)
        await run.db.execute("select pgmq.drop_queue('tasks')")
        await run.until(Event.QUEUE_MISSING)
        await run.db.execute("select pgmq.create('tasks')")
        for number in range(5):
            await run.send(f'"new {number}"')
        await run.until(Event.QUEUE_CREATED)
        await run.until(Event.MESSAGE_COMPLETED, count=25)
        assert await run.account() == {"queue": 0, "archive": 5, "dead": 0, "claims": 0}
    assert sorted(seen[20:]) == [f"new {number}" for number in range(5)]


async def test_a_queue_replaced_between_two_looks_is_noticed(database_url: str) -> None:
    seen = []

    @worker(max_poll_seconds=0.2)
    async def handle(payload: str) -> None:
        seen.append(payload)

    async with running(database_url, handle) as run:
        for number in range(20):
            await run.send(f'"old {number}"')
        await run.until(Event.MESSAGE_COMPLETED, count=20)
        async with run.db.transaction():
            await run.db.execute("select pgmq.drop_queue('tasks')")
            await run.db.execute("select pgmq.create('tasks')")
            for number in range(5):
                await run.send(f'"new {number}"')
        await run.until(Event.MESSAGE_COMPLETED, count=25)
    assert sorted(seen[20:]) == [f"new {number}" for number in range(5)]


@pytest.mark.parametrize("again", [True, False], ids=["created again", "gone for good"])
async def test_what_runs_while_its_queue_is_dropped_settles_nothing_of_the_new_one(
    database_url: str, again: bool
) -> None:
    """A worker on another queue of the process keeps its leases and its sign of life meanwhile."""
    release, other_release = asyncio.Event(), asyncio.Event()
    runs = []

    @worker(queue="tasks", visibility_timeout=1, max_poll_seconds=0.2)
    async def handle(payload: str) -> None:
        runs.append(payload)
        if payload == "old":
            await release.wait()

    @worker(queue="other", visibility_timeout=1)
    async def other(payload: str) -> None:
        runs.append(payload)
        await other_release.wait()

    async with running(database_url, handle, other) as run:
        await run.send('"old"')
        other_id = await run.send('"other"', "other")
        await run.until(Event.MESSAGE_CLAIMED, count=2)
        await run.db.execute("select pgmq.drop_queue('tasks')")
        if again:
            await run.db.execute("select pgmq.create('tasks')")
            assert await run.send('"new"') == 1
            await run.until(Event.MESSAGE_COMPLETED)
            assert (await run.account())["archive"] == 1
        await run.renewals(other_id, 4, "other")
        await run.until(Event.LEASE_LOST)
        release.set()
        other_release.set()
        await run.until_true(lambda: len(run.events(Event.MESSAGE_COMPLETED)) == 1 + again)
        await run.let_go()
        assert run.events(Event.WORKER_FAILED) == []
        assert len(run.events(Event.LEASE_LOST)) == 1
    assert sorted(runs) == sorted(["old", "other", *(["new"] if again else [])])


@pytest.mark.parametrize("whose", ["postmill", "pgmq"])
async def test_a_lease_lost_with_a_dropped_queue_is_none_of_the_new_queues(
    database_url: str, whose: str
) -> None:
    """Its message has the same id, and was there already when the loss of the older one was noticed."""
    deliveries: list[tuple[str, int]] = []

    @worker(visibility_timeout=1, max_poll_seconds=0.2)
    async def handle(payload: str, ctx: Context) -> None:
        deliveries.append((payload, ctx.message.lost_leases))
        if payload == "old":
            await asyncio.Event().wait()
        if len(deliveries) == 2:
            raise Snooze(1000)

    async with running(database_url, handle) as run:
        await run.send('"old"')
        await run.until(Event.MESSAGE_CLAIMED)
        await run.db.execute(f"select {whose}.drop_queue('tasks')")
        await run.db.execute(f"select {whose}.create{'_queue' * (whose == 'postmill')}('tasks')")
        assert await run.send('"new"') == 1
        await run.until(Event.MESSAGE_SNOOZED)
        await run.until(Event.LEASE_LOST)
        await run.let_go()
        await run.db.execute("update pgmq.q_tasks set vt = now()")
        await run.until(Event.MESSAGE_COMPLETED)
        assert await run.count("postmill.failures") == (whose == "pgmq")
    assert deliveries == [("old", 0), ("new", 0), ("new", 0)]


async def test_a_handler_that_ends_after_its_queue_was_dropped_is_no_failure(database_url: str) -> None:
    release = asyncio.Event()

    @worker(max_poll_seconds=0.2)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        await release.wait()

    async with running(database_url, handle) as run:
        for _ in range(3):
            await run.send("{}")
        await run.until(Event.MESSAGE_CLAIMED, count=3)
        await run.db.execute("select pgmq.drop_queue('tasks')")
        release.set()
        await run.until(Event.LEASE_LOST, count=3)
        await run.let_go()
        assert run.events(Event.WORKER_FAILED) == []


async def test_a_queue_created_by_pgmq_alone_is_served(database_url: str) -> None:
    """Without our trigger: nothing wakes the worker, so it polls."""

    @worker(queue="foreign", max_poll_seconds=0.1)
    async def handle(payload: dict[str, Any]) -> None:
        pass

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select pgmq.create('foreign')")
        await run.send("{}", "foreign")
        await run.engine.start()
        await run.send("{}", "foreign")
        assert await finished_in(run, "foreign", 2) == {"queue": 0, "archive": 2, "dead": 0, "claims": 0}


@pytest.mark.parametrize("missing", ["headers", "last_read_at", "both"])
@pytest.mark.parametrize("on_success", ["archive", "delete"])
async def test_a_queue_of_an_older_pgmq_is_served(database_url: str, missing: str, on_success: str) -> None:
    columns = ["headers", "last_read_at"] if missing == "both" else [missing]

    @worker(queue="older", on_success=on_success, retry=Retry.fixed(0, 2), max_poll_seconds=0.1)
    async def handle(payload: str, ctx: Context) -> None:
        if payload == "transaction":
            async with ctx.transaction():
                pass
        if payload == "fail":
            raise ValueError

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select pgmq.create('older')")
        for column in columns:
            await run.db.execute(f"alter table pgmq.q_older drop column {column}")
            await run.db.execute(f"alter table pgmq.a_older drop column {column}")
        await run.db.execute(
            """insert into pgmq.q_older (vt, message) select clock_timestamp(), to_jsonb(t)
               from unnest(array['ok', 'fail', 'transaction']) as t"""
        )
        await run.engine.start()
        archived = 2 if on_success == "archive" else 0
        found = await finished_in(run, "older", 3)
        assert found == {"queue": 0, "archive": archived, "dead": 1, "claims": 0}


async def test_an_archive_that_is_a_view_is_written_to(database_url: str) -> None:
    """Two statements disagreed on its columns, so nothing was ever claimed, and nothing was said."""

    @worker(queue="seen")
    async def handle(_payload: dict[str, str]) -> None:
        pass

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute(
            """select postmill.create_queue('seen');
            alter table pgmq.a_seen rename to kept;
            create view pgmq.a_seen as select * from pgmq.kept;
            select postmill.send('seen', '{}', headers => '{"h": 1}')"""
        )
        await run.engine.start()
        await run.until(Event.MESSAGE_COMPLETED)
        assert await run.count("pgmq.kept where headers is not null") == 1


async def test_a_partitioned_queue_is_served(database_url: str) -> None:
    """Rows of different partitions share ctids: each message must still run once, and all of them."""
    seen: list[int] = []

    @worker(queue="parted", max_concurrent=4, retry=Retry.fixed(0, 2), max_poll_seconds=0.1)
    async def handle(number: int, ctx: Context) -> None:
        if number % 10 == 0 and ctx.attempt == 1:
            raise ValueError
        seen.append(number)

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select pgmq.create('parted')")
        await run.db.execute(
            """create table pgmq.template (like pgmq.q_parted including defaults including identity);
            drop table pgmq.q_parted;
            create table pgmq.q_parted (like pgmq.template including defaults including identity,
                primary key (msg_id)) partition by range (msg_id);
            create table pgmq.q_parted_1 partition of pgmq.q_parted for values from (0) to (50);
            create table pgmq.q_parted_2 partition of pgmq.q_parted for values from (50) to (100);
            create table pgmq.q_parted_3 partition of pgmq.q_parted default;
            create index on pgmq.q_parted (vt);
            drop table pgmq.template;
            update pgmq.meta set is_partitioned = true where queue_name = 'parted';"""
        )
        await run.db.execute(
            "select pgmq.send_batch('parted', array(select to_jsonb(n) from generate_series(1, 150) as n))"
        )
        await run.engine.start()
        assert await finished_in(run, "parted", 150) == {"queue": 0, "archive": 150, "dead": 0, "claims": 0}
    assert sorted(seen) == list(range(1, 151))


async def finished_in(run: Any, queue: str, count: int) -> dict[str, int]:
    await finished_events(run, count)
    await run.let_go()
    account: dict[str, int] = await run.account(queue)
    return account


async def finished_events(run: Any, count: int) -> None:
    await run.until(Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD, count=count)


async def test_our_schema_is_dropped_under_a_running_worker(database_url: str) -> None:
    """It is not the queue that is missing. When the schema is there again, work goes on."""

    @worker(max_poll_seconds=0.2)
    async def handle(payload: dict[str, Any]) -> None:
        pass

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.MESSAGE_COMPLETED)
        await run.db.execute("drop schema postmill cascade")
        (said,) = await run.until(Event.SCHEMA_MISSING)
        assert "postmill migrate" in said["reason"]
        assert run.events(Event.QUEUE_MISSING) == []
        await asyncio.to_thread(_migrated, database_url)
        await run.db.execute("select pgmq.send('tasks', '{}'::jsonb)")
        await run.until(Event.MESSAGE_COMPLETED, count=2)


def _migrated(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        migrate(connection)
