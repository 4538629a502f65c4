"""max_pg_connections is honoured exactly, and idle workers are woken."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from postmill import Context, Retry, worker
from postmill.db.hot import handler_session
from postmill.model.config.address import Address
from postmill.model.events import Event
from tests.service.running import Running, finished, running


async def highest_count(run: Running, stop: asyncio.Event) -> int:
    """The most connections seen at any moment until ``stop``."""
    watcher = await asyncpg.connect(dsn=run.url)
    text = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and application_name like 'postmill %'"
    )
    highest = 0
    while not stop.is_set():
        highest = max(highest, await watcher.fetchval(text))
        await asyncio.sleep(0)
    await watcher.close()
    return highest


async def uses_every_service(number: int, ctx: Context) -> None:
    """A transaction, or a connection."""
    if number % 2:
        async with ctx.transaction() as tx:
            await tx.fetchval("select pg_sleep(0.001)")
        return
    async with ctx.db as connection:
        await connection.fetchval("select 1")


@pytest.mark.parametrize("allowed", [2, 3, 4, 6])
async def test_no_more_connections_than_allowed(database_url: str, allowed: int) -> None:
    handle = worker(max_pg_connections=allowed, max_concurrent=20)(uses_every_service)
    async with running(database_url, handle) as run:
        stop = asyncio.Event()
        watching = asyncio.create_task(highest_count(run, stop))
        for number in range(200):
            await run.send(str(number))
        await run.until(Event.MESSAGE_COMPLETED, count=200)
        stop.set()
        assert await watching == allowed
        await run.let_go()
        assert (await run.account())["archive"] == 200


@pytest.mark.parametrize("allowed", [2, 3, 4, 6])
async def test_a_direct_address_for_listen_counts_too(database_url: str, allowed: int) -> None:
    """LISTEN takes the third connection, before settlements have one of their own; with two there is none."""
    busy = worker(max_pg_connections=allowed, max_concurrent=20, poll_interval_ms=20)(uses_every_service)
    address = Address(database_url, pooled=True, stated=True, direct_url=database_url)
    async with running(database_url, busy, address=address) as run:
        stop = asyncio.Event()
        watching = asyncio.create_task(highest_count(run, stop))
        for number in range(200):
            await run.send(str(number))
        await run.until(Event.MESSAGE_COMPLETED, count=200)
        listening = await run.count(
            "pg_stat_activity where datname = current_database() and application_name = 'postmill listen'"
        )
        stop.set()
        assert await watching == allowed
        assert listening == (allowed > 2)
        polling = [fields["reason"] for fields in run.events(Event.WORKER_POLLING)]
        assert ["max_pg_connections" in reason for reason in polling] == [True] * (allowed == 2)


@pytest.mark.parametrize("pooled", [False, True])
async def test_a_connection_that_has_rested_is_tried_first(
    database_url: str, monkeypatch: pytest.MonkeyPatch, pooled: bool
) -> None:
    monkeypatch.setattr(handler_session, "CHECK_AFTER_S", 0.0)

    @worker(max_pg_connections=4)
    async def handle(number: int, ctx: Context) -> None:
        for _ in range(3):
            async with ctx.db as connection:
                await connection.fetchval("select 1")

    async with running(database_url, handle, address=Address(database_url, pooled=pooled)) as run:
        await run.send("1")
        await run.until(Event.MESSAGE_COMPLETED)
        assert await run.count("postmill.failures") == 0


@pytest.mark.parametrize("allowed", [2, 4])
async def test_several_workers_of_a_process_share_its_connections(database_url: str, allowed: int) -> None:
    @worker(queue="a", max_pg_connections=allowed)
    async def a(number: int, ctx: Context) -> None:
        async with ctx.db as connection:
            await connection.fetchval("select 1")

    @worker(queue="b", max_pg_connections=allowed)
    async def b(number: int, ctx: Context) -> None:
        async with ctx.transaction():
            pass

    async with running(database_url, a, b) as run:
        stop = asyncio.Event()
        watching = asyncio.create_task(highest_count(run, stop))
        for number in range(50):
            await run.send(str(number), "a")
            await run.send(str(number), "b")
        await run.until(Event.MESSAGE_COMPLETED, count=100)
        stop.set()
        assert await watching <= allowed


async def test_an_idle_worker_is_woken_by_a_send(database_url: str) -> None:
    """Its poll floor is a minute away, and the test ends long before."""

    @worker(max_poll_seconds=60)
    async def handle(payload: dict[str, Any]) -> None:
        pass

    async with running(database_url, handle) as run:
        for number in range(1, 6):
            await run.idle()
            await run.send("{}")
            await run.until(Event.MESSAGE_COMPLETED, count=number)


async def test_an_idle_worker_shows_itself_however_seldom_it_polls(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edge Worker's heartbeat is sent by the loop that polls: a long poll makes its worker look inactive."""
    monkeypatch.setattr("postmill.engine.maintain.heartbeat.PERIOD_S", 0.1)
    monkeypatch.setattr("postmill.model.queue.silence.WRITE_AFTER_S", 0.1)

    @worker(max_poll_seconds=3600)
    async def handle(payload: dict[str, Any]) -> None:
        pass

    async with running(database_url, handle) as run:
        await run.idle()
        for _ in range(3):
            seen = await run.db.fetchval("select last_heartbeat_at::text from edge_worker.active_workers")
            await run.true_in_database(
                f"last_heartbeat_at > '{seen}'::timestamptz from edge_worker.active_workers"
            )


async def test_an_idle_worker_is_woken_by_pgmqs_own_trigger(database_url: str) -> None:
    """A queue of somebody else's, with pgmq's notifications switched on."""

    @worker(queue="foreign", max_poll_seconds=60)
    async def handle(payload: dict[str, Any]) -> None:
        pass

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select pgmq.create('foreign')")
        await run.db.execute("select pgmq.enable_notify_insert('foreign', 0)")
        await run.engine.start()
        await run.idle("foreign")
        await run.send("{}", "foreign")
        await run.until(Event.MESSAGE_COMPLETED)


async def test_two_workers_of_one_process_on_one_queue_are_both_woken(database_url: str) -> None:
    """The second took the first one's place with the notifications."""
    release = asyncio.Event()
    busy = asyncio.Event()
    seen = []

    async def take(payload: str) -> None:
        seen.append(payload)
        if payload == "block":
            busy.set()
            await release.wait()

    one = worker(max_poll_seconds=60, max_concurrent=1)(take)
    two = worker(max_poll_seconds=60, max_concurrent=1)(take)
    async with running(database_url, one, two) as run:
        await run.idle(count=2)
        await run.send('"block"')
        await busy.wait()
        await run.send('"next"')
        await run.until(Event.MESSAGE_COMPLETED)
        release.set()
        assert (await finished(run, 2))["archive"] == 2
    assert seen == ["block", "next"]


@pytest.mark.parametrize("max_poll_seconds", [60, 0.001])
async def test_a_worker_that_only_polls_listens_to_nothing(
    database_url: str, max_poll_seconds: float
) -> None:
    """It polls by one of the two options alone, so it does not matter which of them is longer."""

    @worker(poller="poll", poll_interval_ms=20, max_poll_seconds=max_poll_seconds)
    async def handle(payload: dict[str, Any]) -> None:
        pass

    async with running(database_url, handle) as run:
        for number in range(1, 4):
            await run.send("{}")
            await run.until(Event.MESSAGE_COMPLETED, count=number)
        assert await run.count("postmill.idle_workers") == 0


async def test_a_lost_connection_of_the_claims_still_leaves_it_listening(database_url: str) -> None:
    @worker(max_poll_seconds=60)
    async def handle(payload: dict[str, Any]) -> None:
        pass

    async with running(database_url, handle) as run:
        await run.idle()
        await run.db.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'postmill claims'"
        )
        await run.true_in_database(
            "exists (select from pg_stat_activity where datname = current_database()"
            " and application_name = 'postmill claims' and state = 'idle' and query !~* '^listen')"
        )
        await run.idle()
        await run.send("{}")
        await run.until(Event.MESSAGE_COMPLETED)


def closes_the_coroutine() -> None:
    """What a future may carry: Python closes the coroutine that waits for it, and lets it wait no more."""
    raise GeneratorExit


@pytest.mark.parametrize("allowed", [2, 3, 4])
@pytest.mark.parametrize("kind", ["db", "transaction"])
async def test_a_coroutine_that_is_closed_gives_its_connection_back(
    database_url: str, allowed: int, kind: str
) -> None:
    """The connection could not be tidied up, and its place in the pool was taken for ever."""

    @worker(max_pg_connections=allowed, retry=Retry.none, max_concurrent=2)
    async def handle(number: int, ctx: Context) -> None:
        async with ctx.db if kind == "db" else ctx.transaction() as connection:
            await connection.fetchval("select 1")
            if number:
                await asyncio.to_thread(closes_the_coroutine)

    async with running(database_url, handle) as run:
        for number in (1, 1, 1, 1, 0, 0):
            await run.send(str(number))
        assert await finished(run, 6) == {"queue": 0, "archive": 2, "dead": 4, "claims": 0}
        errors = await run.db.fetch("select distinct error_type from postmill.failures")
        assert [row["error_type"] for row in errors] == ["GeneratorExit"]
