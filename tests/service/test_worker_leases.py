"""The lease: kept while a handler runs, however long it takes; and what follows when it is lost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from postmill import Context, Retry, worker
from postmill.model.events import Event
from tests.service.running import finished, running


@pytest.mark.parametrize("how", ["async", "thread"])
async def test_a_handler_that_outlives_its_lease_runs_once(database_url: str, how: str) -> None:
    release = asyncio.Event()
    runs = []

    async def in_loop(payload: dict[str, Any]) -> None:
        runs.append(payload)
        await release.wait()

    def in_thread(payload: dict[str, Any], ctx: Context) -> None:
        runs.append(payload)
        ctx.wait_for(release.wait())

    handler = worker(visibility_timeout=1)(in_loop if how == "async" else in_thread)
    async with running(database_url, handler) as run:
        msg_id = await run.send("{}")
        await run.until(Event.MESSAGE_CLAIMED)
        await run.renewals(msg_id, 6)
        release.set()
        assert await finished(run, 1) == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
        assert run.events(Event.LEASE_LOST) == []
    assert len(runs) == 1


async def test_waiting_messages_keep_their_leases_too(database_url: str) -> None:
    release = asyncio.Event()
    runs = []

    @worker(visibility_timeout=1, max_concurrent=5)
    async def handle(number: int) -> None:
        runs.append(number)
        await release.wait()

    async with running(database_url, handle) as run:
        for number in range(20):
            await run.send(str(number))
        claimed = await run.until(Event.MESSAGE_CLAIMED, count=5)
        await run.renewals(claimed[-1]["msg_id"], 6)
        release.set()
        assert (await finished(run, 20))["archive"] == 20
    assert sorted(runs) == list(range(20))


async def test_a_handler_that_blocks_the_event_loop_keeps_its_message(database_url: str) -> None:
    """Three leases long nothing else of the loop runs; the heartbeat has a thread of its own."""
    runs = []

    @worker(visibility_timeout=1)
    async def handle(payload: dict[str, Any]) -> None:
        runs.append(payload)
        time.sleep(3)  # noqa: ASYNC251 - this is what is tested

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert await finished(run, 1) == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
        assert run.events(Event.LEASE_LOST) == []
    assert len(runs) == 1


async def test_a_loop_that_hangs_for_too_long_lets_go(database_url: str) -> None:
    """The hang is a recorded attempt, so a message that always hangs its worker comes to an end."""
    attempts = []

    @worker(visibility_timeout=1, max_blocked=1, retry=Retry.fixed(0, 3))
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            time.sleep(2.5)  # noqa: ASYNC251 - this is what is tested

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.WORKER_BLOCKED)
        assert await finished(run, 1) == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
        failure = await run.db.fetchrow("select kind, error_message from postmill.failures")
        assert failure["kind"] == "crash"
        assert failure["error_message"].startswith("the event loop was blocked for")
    assert attempts == [1, 2]


async def test_a_handler_that_blocks_the_loop_is_named(database_url: str) -> None:
    """After a second, and long before its lease or ``max_blocked`` is over: other messages wait for it."""

    @worker(visibility_timeout=60)
    async def handle(payload: dict[str, Any]) -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until and not run.events(Event.WORKER_BLOCKED):
            pass

    async with running(database_url, handle) as run:
        await run.send("{}")
        (said,) = await run.until(Event.WORKER_BLOCKED)
        assert "in handle" in said["traceback"]
        assert await finished(run, 1) == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}


@pytest.mark.parametrize("polite", [True, False], ids=["cleans up", "ignores it"])
async def test_a_lease_that_somebody_took_stops_the_handler(database_url: str, polite: bool) -> None:
    reasons = []

    @worker(visibility_timeout=1)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            reasons.append(ctx.stopping.reason)
            if polite:
                raise

    async with running(database_url, handle) as run:
        msg_id = await run.send("{}")
        await run.until(Event.MESSAGE_CLAIMED)
        await run.db.execute("select pgmq.set_vt('tasks', $1::bigint, 3000)", msg_id)
        before = await run.db.fetchrow("select read_ct, vt from pgmq.q_tasks")
        await run.until(Event.LEASE_LOST)
        await run.let_go()
        assert await run.account() == {"queue": 1, "archive": 0, "dead": 0, "claims": 0}
        assert await run.db.fetchrow("select read_ct, vt from pgmq.q_tasks") == before
        assert run.ends(msg_id) == [Event.LEASE_LOST]
    assert reasons == ["lease_lost"]


async def test_a_thread_that_lost_its_lease_says_so_once(database_url: str) -> None:
    """It can't be cancelled: it was reported again with each renewal until it ended."""
    release = asyncio.Event()

    @worker(visibility_timeout=1)
    def handle(payload: dict[str, Any], ctx: Context) -> None:
        ctx.wait_for(release.wait())

    async with running(database_url, handle) as run:
        msg_id, other = await run.send("{}"), await run.send("{}")
        await run.until(Event.MESSAGE_CLAIMED, count=2)
        await run.db.execute("select pgmq.set_vt('tasks', $1::bigint, 3000)", msg_id)
        await run.until(Event.LEASE_LOST)
        await run.db.execute("delete from pgmq.q_tasks where msg_id = $1", msg_id)
        await run.renewals(other, 4)
        release.set()
        await run.until(Event.MESSAGE_COMPLETED)
        await run.let_go()
        assert run.ends(msg_id) == [Event.LEASE_LOST]
        assert await run.account() == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}


async def test_a_running_message_can_be_cancelled(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postmill.engine.maintain.heartbeat.PERIOD_S", 0.2)
    reasons = []

    @worker
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            reasons.append(ctx.stopping.reason)
            raise

    async with running(database_url, handle) as run:
        msg_id = await run.send("{}")
        await run.until(Event.MESSAGE_CLAIMED)
        await run.db.execute("select postmill.cancel('tasks', $1)", msg_id)
        await run.until(Event.MESSAGE_CANCELLED)
        assert await run.account() == {"queue": 0, "archive": 0, "dead": 0, "claims": 0}
        noted = await run.db.fetchrow("select msg_id, cancelled_at from postmill.cancellations")
        assert noted["msg_id"] == msg_id
        assert noted["cancelled_at"] is not None
    assert reasons == ["cancelled"]


async def test_another_clients_delete_or_archive_of_a_running_message_is_no_error(database_url: str) -> None:
    go_on = asyncio.Event()

    @worker
    async def handle(payload: dict[str, Any]) -> None:
        await go_on.wait()

    async with running(database_url, handle) as run:
        deleted, archived = await run.send("{}"), await run.send("{}")
        await run.until(Event.MESSAGE_CLAIMED, count=2)
        await run.db.execute("select pgmq.delete('tasks', $1::bigint)", deleted)
        await run.db.execute("select pgmq.archive('tasks', $1::bigint)", archived)
        go_on.set()
        await run.until(Event.LEASE_LOST, count=2)
        assert await run.account() == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
        assert run.events(Event.WORKER_FAILED) == []
