"""Stopping by design: nothing new, a grace for what runs, the rest back in the queue at once."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import asyncpg
import pytest

from postmill import Context, Retry, worker
from postmill.engine.engine import Engine
from postmill.model.config.address import Address
from postmill.model.errors import LoginFailed
from postmill.model.events import Event
from tests.service.running import running


async def places(run: Any) -> dict[str, int]:
    row = await run.db.fetchrow(
        "select count(*) filter (where vt <= clock_timestamp()) as ready,"
        " count(*) filter (where vt > clock_timestamp()) as held from pgmq.q_tasks"
    )
    return {**row, **await run.account()}


async def test_what_runs_may_finish_and_what_waits_is_ready_at_once(database_url: str) -> None:
    started, release = asyncio.Event(), asyncio.Event()
    reasons = []

    @worker(max_concurrent=1, visibility_timeout=3600)
    async def handle(number: int, ctx: Context) -> None:
        if number == 1000:
            started.set()
            reasons.append(await ctx.stopping.wait())
            await release.wait()

    async with running(database_url, handle) as run:
        await run.db.execute(
            "select pgmq.send_batch('tasks', array(select to_jsonb(n) from generate_series(1, 3000) as n))"
        )
        await started.wait()
        stopping = asyncio.create_task(run.engine.stop())
        await run.until(Event.WORKER_DRAINING)
        release.set()
        await stopping
        assert await places(run) == {
            "ready": 2000,
            "held": 0,
            "queue": 2000,
            "archive": 1000,
            "dead": 0,
            "claims": 0,
        }
        assert await run.count("postmill.failures") == 0
        row = await run.db.fetchrow("select stopped_at, stop_reason, in_flight from postmill.workers")
        assert row["stopped_at"] is not None
        assert (row["stop_reason"], row["in_flight"]) == ("shutdown", 0)
        assert await run.count("postmill.idle_workers") == 0
    assert reasons == ["shutdown"]


async def test_after_the_grace_what_runs_is_cancelled_and_given_back(database_url: str) -> None:
    cancelled = []
    both = asyncio.Barrier(3)

    @worker(grace=0.05, visibility_timeout=3600)
    async def handle(number: int, ctx: Context) -> None:
        await both.wait()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append((number, ctx.stopping.reason))
            raise

    async with running(database_url, handle) as run:
        await run.send("1")
        await run.send("2")
        await both.wait()
        await run.engine.stop()
        found = await places(run)
        assert (found["ready"], found["held"], found["claims"]) == (2, 0, 0)
        assert await run.count("postmill.failures") == 0
    assert sorted(cancelled) == [(1, "shutdown"), (2, "shutdown")]


async def test_force_ends_the_grace(database_url: str) -> None:
    @worker(grace=3600)
    async def handle(payload: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.MESSAGE_CLAIMED)
        stopping = asyncio.create_task(run.engine.stop())
        await run.until(Event.WORKER_DRAINING)
        run.engine.force()
        await stopping
        assert (await places(run))["ready"] == 1


async def test_start_and_stop_may_be_said_again_and_in_any_order(database_url: str) -> None:
    @worker
    async def handle(payload: dict[str, Any]) -> None:
        pass

    async with running(database_url, handle, begin=False) as run:
        await asyncio.gather(run.engine.start(), run.engine.start())
        assert await run.count("postmill.workers") == 1
        await asyncio.gather(run.engine.stop(), run.engine.stop())
        await run.engine.stop()
        await run.engine.start()  # after a stop: nothing
        assert await run.count("postmill.workers where stopped_at is null") == 0

    async with running(database_url, handle, begin=False) as run:
        await run.engine.stop()
        await run.engine.start()
        assert await run.count("postmill.workers") == 1


@pytest.mark.parametrize("turns", [0, 1, 5, 25, 100])
async def test_a_stop_during_the_start_leaves_nothing_behind(database_url: str, turns: int) -> None:
    @worker
    async def handle(payload: dict[str, Any]) -> None:
        pass

    async with running(database_url, handle, begin=False) as run:
        starting = asyncio.create_task(run.engine.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        await run.engine.stop()
        await asyncio.gather(starting, return_exceptions=True)
        assert await run.count("postmill.workers where stopped_at is null") == 0
        await run.true_in_database(  # a backend whose client is gone may take a moment to end
            "not exists (select from pg_stat_activity where application_name like 'postmill%'"
            " and datname = current_database())"
        )


async def test_a_stop_ends_the_wait_for_a_server_that_is_not_there() -> None:
    """A start waits for its server as long as it takes; a stop waited for that start."""

    @worker
    async def handle(payload: dict[str, Any]) -> None:
        pass

    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        engine = Engine([handle], Address(f"postgresql://u@127.0.0.1:{nobody.getsockname()[1]}/db"))
        starting = asyncio.create_task(engine.start())
        await asyncio.sleep(0.1)
        async with asyncio.timeout(20):
            await engine.stop()
            await asyncio.gather(starting, return_exceptions=True)
    assert not engine.started.is_set()


async def test_a_start_that_fails_for_good_says_why_and_can_be_stopped(database_url: str) -> None:
    @worker
    async def handle(payload: dict[str, Any]) -> None:
        pass

    engine = Engine([handle], Address(database_url.replace("/test_", "/missing_test_")))
    with pytest.raises((asyncpg.InvalidCatalogNameError, LoginFailed)):
        await engine.start()
    await engine.stop()


async def test_a_deprecated_worker_claims_nothing_more(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when another worker of its process goes on."""
    monkeypatch.setattr("postmill.engine.maintain.heartbeat.PERIOD_S", 0.1)
    release = asyncio.Event()
    seen = []

    @worker(queue="old", poller="poll", poll_interval_ms=10)
    async def old(number: int) -> None:
        seen.append(number)
        await release.wait()

    @worker(queue="new")
    async def new(payload: dict[str, Any]) -> None:
        pass

    async with running(database_url, old, new) as run:
        await run.send("1", "old")
        await run.until(Event.MESSAGE_CLAIMED)
        old_worker, new_worker = run.engine.workers
        await run.db.execute("select postmill.deprecate_worker($1)", old_worker.worker_id)
        await run.until(Event.WORKER_DEPRECATED)
        await run.send("2", "old")
        await run.send("{}", "new")
        await run.until(Event.MESSAGE_COMPLETED)
        release.set()
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        await run.db.execute("select postmill.deprecate_worker($1)", new_worker.worker_id)
        async with asyncio.timeout(30):
            await run.engine.wait_over()
        await run.engine.stop("deprecated")
        assert (await run.account("old"))["queue"] == 1
        assert await run.count("postmill.workers where stop_reason = 'deprecated'") == 2
    assert seen == [1]


async def test_a_paused_queue_gives_nothing_until_it_is_resumed(database_url: str) -> None:
    seen = []

    @worker(max_poll_seconds=60)
    async def handle(number: int) -> None:
        seen.append(number)

    async with running(database_url, handle) as run:
        await run.send("1")
        await run.until(Event.MESSAGE_COMPLETED)
        await run.db.execute("select postmill.pause('tasks')")
        await run.until(Event.QUEUE_PAUSED)
        await run.send("2")
        assert (await run.account())["queue"] == 1
        await run.db.execute("select postmill.resume('tasks')")
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        await run.until(Event.QUEUE_RESUMED)
    assert seen == [1, 2]


async def test_a_message_that_waits_for_its_retry_survives_the_stop(database_url: str) -> None:
    @worker(retry=Retry.fixed(3600, 2))
    async def handle(payload: dict[str, Any]) -> None:
        raise ValueError

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.MESSAGE_RETRYING)
        await run.engine.stop()
        found = await places(run)
        assert (found["ready"], found["held"], found["claims"]) == (0, 1, 0)
