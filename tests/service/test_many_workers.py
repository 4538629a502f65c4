"""Many workers on one queue: a send calls one of them, and whoever can't take what there is calls another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

from postmill import worker
from postmill.model.events import Event
from tests.service.running import finished, running

if TYPE_CHECKING:
    import asyncpg

    from postmill.handlers import Worker
    from tests.service.running import Running

MANY = 20
HOUR_S = 3600.0
"""Nobody finds anything by polling."""


def idle_worker(_: int) -> Worker:
    @worker(queue="tasks", max_poll_seconds=HOUR_S)
    async def handle(_: int) -> None: ...

    return handle


def claims(run: Running) -> int:
    return sum(each.claimer.lanes.claims for each in run.engine.workers)


async def test_a_message_is_claimed_by_one_and_the_others_stay_where_they_are(database_url: str) -> None:
    async with running(database_url, *map(idle_worker, range(MANY))) as run:
        await run.idle(count=MANY)
        await run.send("1")
        await run.until(Event.MESSAGE_COMPLETED)
        assert claims(run) == 1


async def test_no_herd_follows_single_sends(database_url: str) -> None:
    async with running(database_url, *map(idle_worker, range(MANY))) as run:
        await run.idle(count=MANY)
        for number in range(200):
            await run.send(str(number))
        assert (await finished(run, 200))["archive"] == 200
        empty = sum(each.claimer.lanes.empty_claims for each in run.engine.workers)
        # Were all of them woken, 19 of 20 claims would find nothing.
        assert empty <= claims(run) / 3


async def test_a_worker_that_was_called_and_is_gone_holds_nothing_up(
    database_url: str, adb: asyncpg.Connection
) -> None:
    async with running(database_url, idle_worker(0)) as run:
        await run.idle()
        gone = uuid4()
        await adb.execute(
            "insert into postmill.workers (worker_id, queue_name, function_name, hostname, pid, version,"
            " max_concurrent, last_heartbeat_at)"
            " values ($1, 'tasks', 'f', 'elsewhere', 1, '1', 1, clock_timestamp() + interval '1 hour')",
            gone,
        )
        await adb.execute("insert into postmill.idle_workers values ('tasks', $1)", gone)
        for number in range(10):  # whichever of the two is called for each
            await run.send(str(number))
            await run.until(Event.MESSAGE_COMPLETED, count=number + 1)


async def test_a_worker_without_room_calls_another(database_url: str) -> None:
    busy: asyncio.Queue[int] = asyncio.Queue()
    release = asyncio.Event()

    def one_at_a_time(_: int) -> Worker:
        @worker(queue="tasks", max_concurrent=1, batch_size=1, max_poll_seconds=HOUR_S)
        async def handle(number: int) -> None:
            busy.put_nowait(number)
            await release.wait()

        return handle

    async with running(database_url, *map(one_at_a_time, range(5))) as run:
        await run.idle(count=5)
        for number in range(5):
            await run.send(str(number))
            assert await busy.get() == number
        release.set()
        assert (await finished(run, 5))["archive"] == 5


async def test_a_burst_sets_all_of_them_going(database_url: str) -> None:
    together = asyncio.Barrier(MANY)

    def one_at_a_time(_: int) -> Worker:
        @worker(queue="tasks", max_concurrent=1, batch_size=1, max_poll_seconds=HOUR_S)
        async def handle(_: int) -> None:
            await together.wait()

        return handle

    async with running(database_url, *map(one_at_a_time, range(MANY))) as run:
        await run.idle(count=MANY)
        await run.db.execute(
            "select postmill.send_batch('tasks', array_fill('1'::jsonb, array[$1::int]))", MANY
        )
        assert (await finished(run, MANY))["archive"] == MANY
