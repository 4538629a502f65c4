"""One queue that refuses the renewal of leases takes the leases of no other queue along."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from postmill import worker
from postmill.model.events import Event
from tests.faults.test_refused_settlements import ordinary_role
from tests.service.running import running

if TYPE_CHECKING:
    from tests.faults.scene import Scene


async def test_a_right_that_one_queue_lacks_ends_no_other_lease(scene: Scene) -> None:
    """Two workers of one process: the round ended at the first, and the second was never renewed."""
    await scene.db.execute("select postmill.create_queue('other')")
    release = asyncio.Event()

    @worker(queue="other", visibility_timeout=1, max_concurrent=1)
    async def refused(payload: dict[str, int]) -> None:
        await release.wait()

    @worker(queue="tasks", visibility_timeout=1, max_concurrent=1)
    async def free(payload: dict[str, int]) -> None:
        await release.wait()

    async with ordinary_role(scene) as (url, role), running(url, refused, free) as run:
        await scene.db.execute("select pgmq.send('other', '{}'::jsonb)")
        (msg_id,) = await scene.send()
        await run.until(Event.MESSAGE_CLAIMED, count=2)
        await scene.db.execute(f"revoke update on pgmq.q_other from {role}")
        run.db = scene.db
        try:
            await run.until(Event.QUEUE_REFUSING)
            beaten = await scene.db.fetchval("select max(last_heartbeat_at)::text from postmill.workers")
            await run.renewals(msg_id, 8)
            await run.true_in_database(
                f"min(last_heartbeat_at) > '{beaten}'::timestamptz from postmill.workers"
            )
            (said,) = run.events(Event.QUEUE_REFUSING, Event.WORKER_FAILED)
            assert said["statement"] == "renew"
            assert "42501" in said["reason"]
            await scene.db.execute(f"grant update on pgmq.q_other to {role}")
            await run.until(Event.QUEUE_ACCEPTING)
        finally:
            release.set()
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        assert run.events(Event.LEASE_LOST) == []
    assert await scene.db.fetchval("select read_ct from pgmq.a_tasks") == 1


async def test_a_message_whose_renewal_is_refused_takes_no_other_along(scene: Scene) -> None:
    """A trigger raised for one row: no lease of its queue was renewed, and everything ran again elsewhere."""
    await scene.db.execute(
        """create function refuse() returns trigger language plpgsql as $$ begin
           if new.message ? 'odd' and new.read_ct = old.read_ct then raise exception 'not this one'; end if;
           return new; end $$;
        create trigger refuse before update on pgmq.q_tasks for each row execute function refuse()"""
    )
    release = asyncio.Event()

    @worker(queue="tasks", visibility_timeout=1, max_concurrent=7)
    async def handle(payload: dict[str, int]) -> None:
        await release.wait()

    async with running(scene.url, handle) as run:
        good = await scene.send(3)
        await scene.send(odd=1)
        good += await scene.send(3)
        await run.until(Event.MESSAGE_CLAIMED, count=7)
        for msg_id in (good[0], good[-1]):
            await run.renewals(msg_id, 6)
        (said,) = run.events(Event.QUEUE_REFUSING, Event.QUEUE_ACCEPTING, Event.WORKER_FAILED)
        assert "not this one" in said["reason"]
        release.set()
        await run.until(Event.MESSAGE_COMPLETED, count=6)
        await scene.until("select count(*) >= 6 from pgmq.a_tasks")
    archived = await scene.db.fetch("select read_ct from pgmq.a_tasks where not message ? 'odd'")
    assert [row["read_ct"] for row in archived] == [1] * 6
