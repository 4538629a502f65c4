"""Workers on queues with priorities: order, aging, retries, and every kind of table and connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from postmill import worker
from postmill.model.config.address import parse
from postmill.model.events import Event
from postmill.model.queue.prefetch import PRIORITY_WINDOW_S, WINDOW_S
from postmill.model.queue.retry import FixedRetry
from tests.faults.pooler import pooler
from tests.service.running import GIVE_UP_S, finished, running
from tests.sql.test_priority import ODD

if TYPE_CHECKING:
    from postmill.handlers import Worker

SETUP = "select postmill.create_queue('tasks'); select postmill.enable_priority('tasks')"
PARTED = """
select pgmq.create('tasks');
create table pgmq.template (like pgmq.q_tasks including defaults including identity);
drop table pgmq.q_tasks;
create table pgmq.q_tasks (like pgmq.template including defaults including identity, primary key (msg_id))
    partition by range (msg_id);
create table pgmq.q_tasks_1 partition of pgmq.q_tasks for values from (0) to (20);
create table pgmq.q_tasks_2 partition of pgmq.q_tasks for values from (20) to (50);
create table pgmq.q_tasks_3 partition of pgmq.q_tasks default;
create index on pgmq.q_tasks (vt);
drop table pgmq.template;
update pgmq.meta set is_partitioned = true where queue_name = 'tasks';
select postmill.enable_priority('tasks');
"""
UNLOGGED = "select pgmq.create_unlogged('tasks'); select postmill.enable_priority('tasks')"
SEND = """
insert into pgmq.q_tasks (vt, message, headers)
select now(), to_jsonb(n), case when n % 10 > 0 then jsonb_build_object('postmill-priority', n % 10) end
  from generate_series(1, $1) as n
"""


def recorder(seen: list[Any], **options: Any) -> Worker:
    """A worker that claims few messages at once and notes them in the order in which they begin."""

    @worker(queue="tasks", max_concurrent=1, batch_size=4, max_poll_seconds=60, **options)
    async def handle(payload: Any) -> None:
        seen.append(payload)

    return handle


@pytest.mark.parametrize("setup", [SETUP, PARTED, UNLOGGED], ids=["ordinary", "partitioned", "unlogged"])
async def test_messages_begin_in_order_of_priority(database_url: str, setup: str) -> None:
    seen: list[int] = []
    async with running(database_url, recorder(seen), begin=False) as run:
        await run.db.execute(setup)
        await run.db.execute(SEND, 100)
        await run.engine.start()
        assert await finished(run, 100) == {"queue": 0, "archive": 100, "dead": 0, "claims": 0}
    assert seen == sorted(seen, key=lambda number: (-(number % 10), number))


@pytest.mark.parametrize("connections", [2, 4])
async def test_behind_a_pooler_in_transaction_mode(database_url: str, connections: int) -> None:
    seen: list[int] = []
    with pooler(database_url) as pooled:
        handle = recorder(seen, max_pg_connections=connections)
        async with running(database_url, handle, begin=False, address=parse(pooled.url)) as run:
            await run.db.execute(SETUP)
            await run.db.execute(SEND, 60)
            await run.engine.start()
            assert (await finished(run, 60))["archive"] == 60
        assert "ERROR" not in pooled.log
    assert seen == sorted(seen, key=lambda number: (-(number % 10), number))


@pytest.mark.parametrize(("aging", "served"), [("0.01 s", True), ("1 year", False)])
async def test_no_message_starves_under_a_flood_of_higher_priority(
    database_url: str, aging: str, served: bool
) -> None:
    """Each message of priority 9 is followed by another: without aging the one of priority 0 never begins."""
    seen: list[Any] = []

    @worker(queue="tasks", max_concurrent=1, batch_size=1, max_poll_seconds=60)
    async def handle(payload: int) -> None:
        seen.append(payload)
        if payload == 0:
            enough.append(len(seen))
        elif len(seen) < 300 and not enough:
            await run.db.execute("select pgmq.send('tasks', '9', '{\"postmill-priority\": 9}'::jsonb)")

    enough: list[int] = []
    async with running(database_url, handle, begin=False) as run:
        await run.db.execute(SETUP)
        await run.db.execute(f"select postmill.enable_priority('tasks', aging => '{aging}')")
        flood = (
            "select pgmq.send('tasks', '9', '{\"postmill-priority\": 9}'::jsonb) from generate_series(1, 50)"
        )
        await run.db.execute(flood)
        await run.db.execute("select pgmq.send('tasks', '0')")
        await run.engine.start()
        await run.until_true(lambda: bool(enough))
    assert (enough[0] < 300) == served


async def test_a_retry_keeps_its_priority(database_url: str) -> None:
    seen: list[int] = []

    @worker(queue="tasks", max_concurrent=1, batch_size=1, max_poll_seconds=60, retry=FixedRetry(2, 0.0))
    async def handle(payload: int) -> None:
        seen.append(payload)
        if payload == 9 and seen.count(9) == 1:
            raise ValueError("once")

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute(SETUP)
        await run.db.execute(SEND, 200)
        await run.engine.start()
        assert (await finished(run, 200))["archive"] == 200
    assert seen.count(9) == 2
    assert [number % 10 for number in seen[:21]].count(9) == 21


@pytest.mark.parametrize("enabled", [True, False])
async def test_a_worker_learns_at_once_that_priorities_are_enabled(database_url: str, enabled: bool) -> None:
    """A control: the same messages to the same worker, with priorities not enabled or disabled again."""
    seen: list[int] = []
    async with running(database_url, recorder(seen)) as run:
        await run.idle()
        await run.db.execute("select postmill.enable_priority('tasks')")
        if not enabled:
            await run.db.execute("select postmill.disable_priority('tasks')")
        async with asyncio.timeout(GIVE_UP_S):
            while run.worker.claimer.lanes.has_priorities != enabled:  # noqa: ASYNC110 - it is said nowhere
                await asyncio.sleep(0.01)
        await run.db.execute(SEND, 60)
        assert (await finished(run, 60))["archive"] == 60
    assert (seen[:4] == [9, 19, 29, 39]) == enabled


async def test_every_header_that_a_client_may_send_is_served_once(database_url: str) -> None:
    seen: list[int] = []
    async with running(database_url, recorder(seen), begin=False) as run:
        await run.db.execute(SETUP)
        insert = (
            "insert into pgmq.q_tasks (vt, message, headers) values (now(), to_jsonb($1::int), $2::jsonb)"
        )
        for number, odd in enumerate(ODD):
            await run.db.execute(insert, number, odd)
        large = "jsonb_build_object('postmill-priority', repeat('9', 3000000))"
        await run.db.execute(f"select pgmq.send('tasks', '100', {large})")
        await run.engine.start()
        assert (await finished(run, len(ODD) + 1))["archive"] == len(ODD) + 1
    assert sorted(seen) == [*range(len(ODD)), 100]
    assert seen[:2] == [ODD.index('{"postmill-priority": 9.5}'), 100]


async def test_few_messages_are_held_while_urgent_ones_come(database_url: str) -> None:
    """A worker that holds 100 ms of work lets an urgent message wait for all of it."""
    seen: list[int] = []
    async with running(database_url, recorder(seen), begin=False) as run:
        await run.db.execute(SETUP)
        await run.engine.start()
        await run.send("0")
        await run.until(Event.MESSAGE_COMPLETED)
        dispatcher = run.worker.dispatcher
        assert dispatcher.prefetch.window_s == WINDOW_S
        await run.db.execute("select pgmq.send('tasks', '9', '{\"postmill-priority\": 9}'::jsonb)")
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        async with asyncio.timeout(GIVE_UP_S):  # the message may end before its claim is over
            while dispatcher.prefetch.window_s != PRIORITY_WINDOW_S:  # noqa: ASYNC110 - it is said nowhere
                await asyncio.sleep(0.01)


async def test_a_table_that_a_restore_has_left_without_its_index_is_served_in_order(
    database_url: str,
) -> None:
    """The flag is in the dump, and the index may not be: claims would read the whole queue each time."""
    seen: list[int] = []
    async with running(database_url, recorder(seen), begin=False) as run:
        await run.db.execute(SETUP)
        index = await run.db.fetchval("select postmill._priority_index('pgmq.q_tasks')")
        await run.db.execute(f"drop index pgmq.{index}")
        await run.db.execute(SEND, 20)
        await run.engine.start()
        assert (await finished(run, 20))["archive"] == 20
    assert seen == list(range(1, 21))
