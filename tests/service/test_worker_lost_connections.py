"""A connection that a handler has borrowed and lost is the worker's trouble: no attempt is counted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from postmill import Context, Dead, Retry, worker
from postmill.model.events import Event
from tests.service.running import Running, finished, running

if TYPE_CHECKING:
    from collections.abc import Callable

ME = "select pg_terminate_backend(pg_backend_pid())"


async def end_sessions(run: Running, name: str = "%") -> None:
    """End the worker's sessions of that name, and wait until they are gone."""
    which = f"datname = current_database() and application_name like 'postmill {name}'"
    await run.db.execute(f"select pg_terminate_backend(pid, 10000) from pg_stat_activity where {which}")


async def in_transaction(ctx: Context) -> None:
    async with ctx.transaction() as tx:
        await tx.execute(ME)


async def on_connection(ctx: Context) -> None:
    async with ctx.db as connection:
        await connection.execute(ME)


async def in_savepoint(ctx: Context) -> None:
    async with ctx.transaction() as tx, tx.connection.transaction():
        await tx.execute(ME)


async def wrapped(ctx: Context) -> None:
    try:
        await in_transaction(ctx)
    except Exception as error:
        raise ValueError("could not write") from error


async def grouped(ctx: Context) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(on_connection(ctx))


async def noticed_at_the_commit(ctx: Context) -> None:
    async with ctx.transaction() as tx:
        try:
            await tx.execute(ME)
        except Exception:
            ctx.log.info("goes on")


async def recorded(run: Running) -> list[tuple[str, int]]:
    rows = await run.db.fetch("select kind, attempt from postmill.failures order by failure_id")
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("connections", [2, 3, 4])
@pytest.mark.parametrize(
    "use", [in_transaction, on_connection, in_savepoint, wrapped, grouped, noticed_at_the_commit]
)
async def test_a_lost_connection_is_recorded_and_is_no_attempt(
    database_url: str, connections: int, use: Callable[[Context], Any]
) -> None:
    """With a single attempt a restart of Postgres made a dead letter, and nothing was written."""
    runs = 0

    @worker(retry=Retry.none, max_pg_connections=connections)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            await use(ctx)

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert await finished(run, 1) == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
        assert await recorded(run) == [("lost_lease", 1)]
    assert runs == 2


async def test_a_whole_batch_is_spared(database_url: str) -> None:
    runs = 0

    @worker(retry=Retry.none, batch=3)
    async def handle(payloads: list[Any], ctx: Context) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            await on_connection(ctx)

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        for _ in range(3):
            await run.send("{}")
        await run.engine.start()
        assert (await finished(run, 3))["archive"] == 3
        assert await recorded(run) == [("lost_lease", 1)] * 3


async def test_a_statement_that_always_ends_its_session_comes_to_an_end(database_url: str) -> None:
    """Not counted as attempts, it would run for ever: max_deliveries bounds it."""
    runs = 0

    @worker(retry=Retry.none, max_deliveries=3)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        nonlocal runs
        runs += 1
        await in_transaction(ctx)

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert (await finished(run, 1))["dead"] == 1
        assert await recorded(run) == [("lost_lease", 1)] * 3
    assert runs == 3


async def closes_it_itself(ctx: Context) -> None:
    async with ctx.db as connection:
        await connection.close()
        await connection.execute("select 1")


async def has_trouble_of_its_own(ctx: Context) -> None:
    async with ctx.db as connection:
        await connection.execute("select 1")
        raise ConnectionRefusedError("some web server")


async def says_what_follows(ctx: Context) -> None:
    try:
        await in_transaction(ctx)
    except Exception as error:
        raise Dead("the handler's own word") from error


@pytest.mark.parametrize("use", [closes_it_itself, has_trouble_of_its_own, says_what_follows])
async def test_a_handlers_own_failure_still_counts(database_url: str, use: Callable[[Context], Any]) -> None:
    @worker(retry=Retry.none)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        await use(ctx)

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert (await finished(run, 1))["dead"] == 1
        assert await recorded(run) == [("error", 1)]


@pytest.mark.parametrize("use", ["db", "transaction"])
async def test_a_connection_that_was_cut_a_moment_ago_is_not_handed_out(database_url: str, use: str) -> None:
    """The server's goodbye has arrived, and the event loop has not read it: attempts were burnt in dozens."""
    first = asyncio.Event()

    @worker(retry=Retry.none, max_pg_connections=6)
    async def handle(number: int, ctx: Context) -> None:
        if number == 2:  # the event loop reads nothing meanwhile
            which = "datname = current_database() and application_name = 'postmill handlers'"
            with psycopg.connect(database_url, autocommit=True) as other:
                text = f"select pg_terminate_backend(pid, 10000) from pg_stat_activity where {which}"
                assert other.execute(text).fetchall()
        if use == "db":
            async with ctx.db as connection:
                await connection.execute("select 1")
        else:
            async with ctx.transaction() as tx:
                await tx.execute("select 1")
        first.set()

    async with running(database_url, handle) as run:
        await run.send("1")
        await first.wait()
        await run.until(Event.MESSAGE_COMPLETED)
        await run.send("2")
        assert await finished(run, 2) == {"queue": 0, "archive": 2, "dead": 0, "claims": 0}
        assert await recorded(run) == []
        assert run.events(Event.DATABASE_LOST, Event.WORKER_FAILED) == []


@pytest.mark.parametrize("batch", [None, 2])
async def test_a_message_whose_lease_is_over_is_not_begun(database_url: str, batch: int | None) -> None:
    """The event loop stands still for longer than the lease, and another client has taken what waits here."""
    ran: list[Any] = []
    taken: list[int] = []

    def take_what_is_due() -> None:
        with psycopg.connect(database_url, autocommit=True) as other:
            while len(taken) < 3:
                found = other.execute("select msg_id from pgmq.read('tasks', 600, 3)").fetchall()
                taken.extend(row[0] for row in found)

    @worker(max_concurrent=3 if batch is None else 2, batch=batch, visibility_timeout=1, max_blocked=0)
    async def handle(payload: Any) -> None:
        ran.append(payload)
        if len(ran) == 1:
            take_what_is_due()

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        for number in range(3):
            await run.send(str(number))
        await run.engine.start()
        await run.until(Event.LEASE_LOST, count=3)
        assert sorted(taken) == [1, 2, 3]
        assert len(ran) == 1
        await run.let_go()
        assert await run.count("pgmq.q_tasks where read_ct = 2") == 3
