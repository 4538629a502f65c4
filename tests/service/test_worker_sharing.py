"""Several workers on one queue, and what one does for another that died."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from postmill import Context, Retry, Snooze, worker
from postmill.model.events import Event
from tests.service.running import finished, running


async def test_two_workers_share_a_queue_and_run_nothing_twice(database_url: str) -> None:
    seen: Counter[int] = Counter()
    by: Counter[str] = Counter()

    def taking(name: str) -> Any:
        async def take(number: int) -> None:
            seen[number] += 1
            by[name] += 1
            await asyncio.sleep(0.0005)

        return worker(max_concurrent=5)(take)

    async with running(database_url, taking("one")) as one, running(database_url, taking("two")) as two:
        await one.db.execute(
            "select pgmq.send_batch('tasks', array(select to_jsonb(n) from generate_series(1, 2000) as n))"
        )
        await one.true_in_database("(select count(*) = 2000 from pgmq.a_tasks)")
        await one.let_go()
        assert await two.account() == {"queue": 0, "archive": 2000, "dead": 0, "claims": 0}
        assert one.events(Event.LEASE_LOST) == two.events(Event.LEASE_LOST) == []
    assert set(seen.values()) == {1}
    assert len(seen) == 2000
    assert set(by) == {"one", "two"}


async def a_dead_worker(run: Any, msg_id: int, *, silent: str = "1 minute") -> str:
    """A worker that claimed a message and was killed: its row, its claim, its lease of an hour."""
    worker_id = str(uuid4())
    await run.db.execute(
        "insert into postmill.workers (worker_id, queue_name, function_name, hostname, pid, version,"
        " max_concurrent, lock_key, last_heartbeat_at)"
        " values ($1, 'tasks', 'f', 'h', 1, '0', 1, 42, clock_timestamp() - $2::text::interval)",
        worker_id,
        silent,
    )
    await run.db.execute(
        "update pgmq.q_tasks set read_ct = read_ct + 1, vt = now() + interval '1 hour' where msg_id = $1",
        msg_id,
    )
    await run.db.execute(
        "insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)"
        " select $1, 'tasks', array[msg_id], array[read_ct] from pgmq.q_tasks where msg_id = $2",
        worker_id,
        msg_id,
    )
    return worker_id


@pytest.mark.parametrize("silent", ["3 seconds", "1 minute"], ids=["its lock is free", "long silent"])
async def test_a_dead_workers_messages_are_rescued(
    database_url: str, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    """The crash is a recorded attempt, and the rescued message runs at once, not when its lease ends."""
    monkeypatch.setattr("postmill.engine.maintain.heartbeat.PERIOD_S", 0.2)
    attempts = []

    @worker(max_poll_seconds=60)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        attempts.append(ctx.attempt)

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        dead = await a_dead_worker(run, await run.send("{}"), silent=silent)
        await run.engine.start()
        assert await finished(run, 1) == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
        assert len(run.events(Event.CLAIMS_RESCUED)) == 1
        failure = await run.db.fetchrow("select kind, attempt, worker_id::text from postmill.failures")
        assert tuple(failure) == ("crash", 1, dead)
        assert (
            await run.db.fetchval("select stop_reason from postmill.workers where worker_id = $1", dead)
            == "crash"
        )
    assert attempts == [2]


async def test_a_message_that_kills_its_workers_comes_to_an_end(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postmill.engine.maintain.heartbeat.PERIOD_S", 0.2)
    runs = []

    @worker(retry=Retry.fixed(0, 2), max_poll_seconds=60)
    async def handle(payload: dict[str, Any]) -> None:
        runs.append(payload)

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        msg_id = await run.send("{}")
        await a_dead_worker(run, msg_id)
        await run.db.execute("select postmill.rescue()")
        await a_dead_worker(run, msg_id)
        await run.engine.start()
        assert await finished(run, 1) == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}
        kinds = await run.db.fetch("select kind, attempt from postmill.failures order by failure_id")
    assert [tuple(row) for row in kinds] == [("crash", 1), ("crash", 2)]
    assert runs == []


async def test_crashes_end_also_under_a_rule_that_never_does(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can ask a callable about a worker that died: such a message killed workers for ever."""
    monkeypatch.setattr("postmill.engine.maintain.heartbeat.PERIOD_S", 0.2)
    attempts = []

    @worker(retry=lambda attempt, error: 0, max_deliveries=2, max_poll_seconds=60)
    async def handle(number: int, ctx: Context) -> None:
        attempts.append(ctx.attempt)
        if ctx.attempt < 5:
            raise RuntimeError

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        deadly, failing = await run.send("1"), await run.send("2")
        for _ in range(2):
            await a_dead_worker(run, deadly)
            await run.db.execute("select postmill.rescue()")
        await run.engine.start()
        assert await finished(run, 2) == {"queue": 0, "archive": 1, "dead": 1, "claims": 0}
        (dead,) = run.events(Event.MESSAGE_DEAD)
        assert (dead["msg_id"], "max_deliveries" in dead["reason"]) == (deadly, True)
        assert run.ends(failing)[-1] == Event.MESSAGE_COMPLETED
    assert attempts == [1, 2, 3, 4, 5]


async def test_a_living_worker_is_not_robbed(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postmill.engine.maintain.heartbeat.PERIOD_S", 0.2)
    release = asyncio.Event()

    @worker(visibility_timeout=1)
    async def handle(payload: dict[str, Any]) -> None:
        await release.wait()

    async with running(database_url, handle) as one, running(database_url, handle) as two:
        msg_id = await one.send("{}")
        await one.renewals(msg_id, 4)
        assert await one.db.fetch("select * from postmill.rescue()") == []
        release.set()
        await one.let_go()
        assert (await one.account())["archive"] == 1
        assert one.events(Event.CLAIMS_RESCUED) + two.events(Event.CLAIMS_RESCUED) == []
        assert await one.count("postmill.failures") == 0


async def test_a_claim_that_the_worker_was_never_told_of_is_given_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection was cut while the claim committed. The delivery is recorded, but is no attempt."""
    monkeypatch.setattr("postmill.engine.maintain.heartbeat.PERIOD_S", 0.2)
    attempts = []

    @worker(visibility_timeout=1, max_poll_seconds=60)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        attempts.append(ctx.attempt)

    async with running(database_url, handle) as run:
        await run.db.execute("select postmill.pause('tasks')")
        await run.until(Event.QUEUE_PAUSED)
        await run.send("{}")
        await run.db.execute(
            "update pgmq.q_tasks set read_ct = 1, vt = now() + interval '1 hour',"
            " enqueued_at = now() - interval '1 minute'"
        )
        await run.db.execute(
            "insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts, claimed_at)"
            " values ($1, 'tasks', '{1}', '{1}', now() - interval '10 seconds')",
            run.worker.worker_id,
        )
        await run.until(Event.CLAIMS_RESCUED)
        await run.db.execute("select postmill.resume('tasks')")
        assert await finished(run, 1) == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
        assert await run.db.fetchval("select kind from postmill.failures") == "lost_lease"
    assert attempts == [1]


async def test_claims_never_outlive_their_messages(database_url: str) -> None:
    """Every kind of ending, mixed in the same claims: nothing is left when the worker is idle."""

    @worker(max_concurrent=20, retry=Retry.fixed(0.01, 3))
    async def handle(number: int, ctx: Context) -> None:
        if number % 7 == 1:
            raise ValueError
        if number % 7 == 2 and ctx.message.read_ct < 3:
            raise Snooze(0.01)
        if number % 7 == 3:
            async with ctx.transaction():
                pass
        if number % 7 == 4:
            ctx.send("sink", number)
        if number % 7 == 5:
            await asyncio.sleep(0.001)

    async with running(database_url, handle) as run:
        await run.db.execute("select postmill.create_queue('sink')")
        await run.db.execute(
            "select pgmq.send_batch('tasks', array(select to_jsonb(n) from generate_series(0, 699) as n))"
        )
        await run.until(Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD, count=700)
        await run.let_go()
        assert await run.account() == {"queue": 0, "archive": 600, "dead": 100, "claims": 0}
        assert await run.count("pgmq.q_sink") == 100
        assert await run.count("postmill.failures") == 300
        assert run.worker.held_messages.claim_ids == []
