"""What lies behind the fast lane: delayed messages, late commits, locked rows. Nothing is passed for good."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from postmill import Context, worker
from postmill.model.events import Event
from tests.service.running import finished, running


async def test_delayed_messages_run_though_the_fast_lane_has_passed_them(database_url: str) -> None:
    seen: list[tuple[str, bool]] = []

    @worker(max_poll_seconds=60)
    async def handle(payload: str, ctx: Context) -> None:
        seen.append((payload, ctx.message.claimed_at >= due[payload]))

    due: dict[str, Any] = {}
    async with running(database_url, handle) as run:
        for name, delay in (("late", "1 second"), ("later", "2 seconds"), ("now", "0 seconds")):
            msg_id = await run.db.fetchval(
                "select postmill.send('tasks', to_jsonb($1::text), delay => $2::text::interval)", name, delay
            )
            due[name] = await run.db.fetchval("select vt from pgmq.q_tasks where msg_id = $1", msg_id)
        assert (await finished(run, 3))["archive"] == 3
    assert seen == [("now", True), ("late", True), ("later", True)]


async def test_two_thousand_messages_due_at_the_same_moment_all_run_once(database_url: str) -> None:
    seen: list[int] = []

    @worker(max_poll_seconds=60)
    async def handle(number: int) -> None:
        seen.append(number)

    async with running(database_url, handle) as run:
        await run.db.execute(
            "insert into pgmq.q_tasks (vt, message)"
            " select now() + interval '1 second', to_jsonb(n) from generate_series(1, 2000) as n"
        )
        assert await finished(run, 2000) == {"queue": 0, "archive": 2000, "dead": 0, "claims": 0}
    assert sorted(seen) == list(range(1, 2001))


async def test_what_falls_due_has_all_the_room_when_nothing_is_ahead(database_url: str) -> None:
    """It had a quarter of it, and a quarter of what was left after that."""
    go_on = asyncio.Event()

    @worker(max_poll_seconds=60, max_concurrent=40)
    async def handle(payload: int) -> None:
        await go_on.wait()

    async with running(database_url, handle) as run:
        await run.db.execute(
            "insert into pgmq.q_tasks (vt, message)"
            " select now() + interval '1 hour', to_jsonb(n) from generate_series(1, 40) as n"
        )
        await run.send("41")  # the worker is past them once it has claimed this
        await run.until(Event.MESSAGE_CLAIMED)
        go_on.set()
        await run.until(Event.MESSAGE_COMPLETED)
        await run.idle()
        go_on.clear()
        await run.db.execute("update pgmq.q_tasks set vt = clock_timestamp()")
        await run.db.execute("select pg_notify('postmill.tasks', '')")
        await run.until(Event.MESSAGE_CLAIMED, count=41)
        assert await run.count("postmill.claims") == 1
        go_on.set()
        assert (await finished(run, 41))["archive"] == 41


async def test_a_message_committed_late_is_found_behind_the_fast_lane(database_url: str) -> None:
    """Its id was taken before those that were claimed meanwhile."""
    seen: list[str] = []

    @worker(max_poll_seconds=60)
    async def handle(payload: str) -> None:
        seen.append(payload)

    slow = await asyncpg.connect(database_url)
    async with running(database_url, handle) as run:
        for round_ in range(3):
            transaction = slow.transaction()
            await transaction.start()
            await slow.execute("select pgmq.send('tasks', to_jsonb($1::text))", f"slow {round_}")
            for number in range(5):
                await run.send(f'"quick {round_}.{number}"')
            await run.until(Event.MESSAGE_COMPLETED, count=round_ * 6 + 5)
            await transaction.commit()
            await run.until(Event.MESSAGE_COMPLETED, count=round_ * 6 + 6)
            assert seen[-1] == f"slow {round_}"
    await slow.close()


async def test_a_late_commit_is_found_while_the_worker_is_busy(database_url: str) -> None:
    seen: list[int] = []
    late_seen = asyncio.Event()

    @worker(max_concurrent=2)
    async def handle(number: int) -> None:
        seen.append(number)
        if number == -1:
            late_seen.set()
        elif not late_seen.is_set():
            await asyncio.sleep(0.005)

    slow = await asyncpg.connect(database_url)
    async with running(database_url, handle) as run:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute("select pgmq.send('tasks', '-1')")
        await run.db.execute(
            "select pgmq.send_batch('tasks', array(select to_jsonb(n) from generate_series(1, 4000) as n))"
        )
        await run.until(Event.MESSAGE_COMPLETED, count=10)
        await transaction.commit()
        assert await finished(run, 4001) == {"queue": 0, "archive": 4001, "dead": 0, "claims": 0}
    await slow.close()
    assert sorted(seen) == [-1, *range(1, 4001)]
    assert seen.index(-1) < 4000  # not last of all: the lanes behind have their share


async def test_a_row_that_somebody_had_locked_is_found_by_the_patrol(database_url: str) -> None:
    seen: list[int] = []

    @worker(max_poll_seconds=0.2)
    async def handle(number: int) -> None:
        seen.append(number)

    locker = await asyncpg.connect(database_url)
    async with running(database_url, handle) as run:
        await run.db.execute("select postmill.pause('tasks')")
        await run.until(Event.QUEUE_PAUSED)
        for number in range(3):
            await run.send(str(number))
        transaction = locker.transaction()
        await transaction.start()
        await locker.execute("select from pgmq.q_tasks where msg_id = 2 for update")
        await run.db.execute("select postmill.resume('tasks')")
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        assert seen == [0, 2]
        await transaction.rollback()
        assert (await finished(run, 3))["archive"] == 3
    await locker.close()


async def test_another_clients_set_vt_into_the_past_is_found(database_url: str) -> None:
    @worker(max_poll_seconds=0.2)
    async def handle(number: int) -> None:
        pass

    async with running(database_url, handle) as run:
        await run.db.execute("select pgmq.send('tasks', '1', 3600)")
        await run.send("2")
        await run.until(Event.MESSAGE_COMPLETED)
        await run.db.execute("update pgmq.q_tasks set vt = now() - interval '1 day'")
        assert (await finished(run, 2))["archive"] == 2


async def test_messages_come_in_the_order_of_their_ids(database_url: str) -> None:
    seen: list[int] = []

    @worker(max_concurrent=1)
    async def handle(number: int) -> None:
        seen.append(number)

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        await run.db.execute(
            "select pgmq.send_batch('tasks', array(select to_jsonb(n) from generate_series(1, 1000) as n))"
        )
        await run.engine.start()
        await finished(run, 1000)
    assert seen == list(range(1, 1001))


async def test_big_payloads_are_claimed_a_few_at_a_time(database_url: str) -> None:
    """No claim is larger than the limit says, except for a single message."""
    claims: list[int] = []

    @worker(max_claim_bytes=100_000, max_concurrent=50)
    async def handle(payload: str) -> None:
        pass

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        await run.db.execute("alter table pgmq.q_tasks alter message set storage external")
        for size in (30_000,) * 20 + (500_000,):
            await run.send(f'"{"x" * size}"')
        await run.engine.start()
        opened = run.worker.held_messages.opened

        def spy(claim: Any, messages: Any) -> None:
            claims.append(sum(len(message.raw) for message in messages))
            opened(claim, messages)

        run.worker.held_messages.opened = spy  # type: ignore[method-assign]
        assert (await finished(run, 21))["archive"] == 21
    assert max(claims) >= 500_000
    assert sorted(claims)[-2] <= 100_000 + 30_002
