"""One queue that somebody has locked keeps nothing of the others waiting."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import asyncpg

from postmill import worker
from postmill.model.events import Event
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    from tests.faults.scene import Scene

DEAD = uuid.UUID(int=1)
DUE = "select count(*) from pgmq.q_tasks where vt <= clock_timestamp()"


async def _claimed_by_the_dead(scene: Scene, queue: str, count: int) -> None:
    """Messages, each with a claim of a worker that is not on record any more."""
    await scene.db.execute(
        "select pgmq.send_batch($1, array_fill('{}'::jsonb, array[$2::int]))", queue, count
    )
    rows = await scene.db.fetch("select msg_id, read_ct from pgmq.read($1, 3600, $2)", queue, count)
    await scene.db.executemany(
        "insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)"
        " values ($1, $2, array[$3::bigint], array[$4::int])",
        [(DEAD, queue, row["msg_id"], row["read_ct"]) for row in rows],
    )


async def test_locked_rows_do_not_keep_the_claims_behind_them(scene: Scene) -> None:
    """More claims than one rescue looks at have a locked row: the ones behind them never had their turn."""
    await scene.db.execute("select postmill.create_queue('locked')")
    await _claimed_by_the_dead(scene, "locked", 10)
    await _claimed_by_the_dead(scene, "tasks", 3)
    other = await asyncpg.connect(scene.url)
    async with other.transaction():
        await other.execute("select from pgmq.q_locked for update")
        async with asyncio.timeout(GIVE_UP_S):
            while await scene.db.fetchval(DUE) < 3:
                await scene.db.fetch("select * from postmill.rescue(5)")
    await other.close()


async def test_a_locked_table_does_not_keep_the_others_claims(scene: Scene) -> None:
    """A table that is being rewritten: the rescue waited for it with everything else in hand."""
    await scene.db.execute("select postmill.create_queue('locked')")
    await _claimed_by_the_dead(scene, "locked", 1)
    await _claimed_by_the_dead(scene, "tasks", 3)
    other = await asyncpg.connect(scene.url)
    async with other.transaction():
        await other.execute("lock table pgmq.q_locked in access exclusive mode")
        await scene.db.execute("set statement_timeout = '5s'")
        await scene.db.fetch("select * from postmill.rescue(5)")
        assert await scene.db.fetchval(DUE) == 3
    await other.close()


async def test_leases_in_other_queues_are_renewed_while_one_table_is_locked(scene: Scene) -> None:
    """Two workers of one process: the table of one is rewritten for longer than the other's lease."""
    await scene.db.execute("select postmill.create_queue('locked')")
    release = asyncio.Event()

    @worker(queue="locked", visibility_timeout=1)
    async def blocked(payload: dict[str, int]) -> None:
        await release.wait()

    @worker(queue="tasks", visibility_timeout=1)
    async def free(payload: dict[str, int]) -> None:
        await release.wait()

    async with running(scene.url, blocked, free) as run:
        await scene.db.execute("select pgmq.send('locked', '{}'::jsonb)")
        (msg_id,) = await scene.send()
        await run.until(Event.MESSAGE_CLAIMED, count=2)
        other = await asyncpg.connect(scene.url)
        try:
            async with other.transaction():
                await other.execute("lock table pgmq.q_locked in access exclusive mode")
                await run.renewals(msg_id, 8)
            release.set()
            await run.until(Event.MESSAGE_COMPLETED, Event.LEASE_LOST, count=2)
        finally:
            release.set()
            await other.close()
        assert [each["msg_id"] for each in run.events(Event.MESSAGE_COMPLETED)][-1:] == [msg_id]
        assert await scene.db.fetchval("select read_ct from pgmq.a_tasks") == 1


async def test_other_queues_are_worked_on_while_one_table_is_locked(scene: Scene) -> None:
    """Claims of all queues of a process share a connection: one that waited for its table kept the others."""
    await scene.db.execute("select postmill.create_queue('locked')")

    @worker(queue="locked", max_poll_seconds=0.1)
    async def blocked(payload: dict[str, int]) -> None:
        pass

    @worker(queue="tasks", max_poll_seconds=0.1)
    async def free(payload: dict[str, int]) -> None:
        pass

    async with running(scene.url, blocked, free) as run:
        other = await asyncpg.connect(scene.url)
        async with other.transaction():
            await other.execute("lock table pgmq.q_locked in access exclusive mode")
            await scene.until("select exists (select from pg_locks where not granted)")
            for done in range(1, 11):
                await scene.send()
                await run.until(Event.MESSAGE_COMPLETED, count=done)
        await scene.db.execute("select pgmq.send('locked', '{}'::jsonb)")
        await run.until(Event.MESSAGE_COMPLETED, count=11)
        await other.close()


async def test_messages_from_the_future_are_given_back(scene: Scene) -> None:
    """Another client's clock is ahead. A worker's end is an attempt, and the attempts are counted."""
    for attempt in (1, 2):
        if attempt == 1:
            await _claimed_by_the_dead(scene, "tasks", 1)
        else:
            await scene.db.execute(
                "update pgmq.q_tasks set read_ct = 2, vt = clock_timestamp() + interval '1 h'"
            )
            await scene.db.execute(
                "insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)"
                " values ($1, 'tasks', array[1::bigint], array[2])",
                DEAD,
            )
        await scene.db.execute("update pgmq.q_tasks set enqueued_at = clock_timestamp() + interval '1 h'")
        await scene.db.fetch("select * from postmill.rescue()")
        assert await scene.db.fetchval(DUE) == 1
    rows = await scene.db.fetch("select attempt, kind from postmill.failures order by failure_id")
    assert [tuple(row) for row in rows] == [(1, "crash"), (2, "crash")]
