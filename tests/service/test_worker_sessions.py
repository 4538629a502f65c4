"""What a handler does to its connection reaches neither the next handler nor the worker's own statements."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from postmill import Context, Retry, worker
from postmill.db.hot import handler_connections
from postmill.db.hot.handler_connections import HandlerConnections
from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.model.config.address import parse
from postmill.model.events import Event
from postmill.service.events import Events
from postmill.service.outage import Outage
from postmill.sql.catalog import statement
from tests.service.running import finished, running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.db.hot.handler_connections import HandlerConnection

    Use = Callable[[HandlerConnection], Awaitable[Any]]

ROLE = "postmill_test_bystander"
"""A role without any right, which all tests of the server share."""

MARKS = {
    "role": "current_user::text",
    "session user": "session_user::text",
    "search_path": "current_setting('search_path')",
    "statement_timeout": "current_setting('statement_timeout')",
    "read only": "current_setting('default_transaction_read_only')",
    "setting of its own": "nullif(current_setting('shop.tenant', true), '')",
    "temporary table": "to_regclass('pg_temp.scratch')::text",
    "lock": "(select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())",
    "cursor": "(select count(*) from pg_cursors where name = 'kept')",
    "channel": "(select array_agg(c) from pg_listening_channels() as c where c not like 'p%')",
    "transaction": "current_setting('postmill.transaction', true)",
}


@pytest.fixture
async def bystander(adb: asyncpg.Connection) -> str:
    await adb.execute(
        f"do $$ begin create role {ROLE};"
        " exception when duplicate_object or unique_violation then null; end $$"
    )
    return ROLE


def sql(text: str) -> Use:
    async def use(connection: HandlerConnection) -> None:
        await connection.execute(text)

    return use


async def leave_transaction_open(connection: HandlerConnection) -> None:
    await connection.execute("begin; select 1")


async def leave_transaction_failed(connection: HandlerConnection) -> None:
    await connection.execute("begin")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await connection.execute("select 1/0")


async def change_types(connection: HandlerConnection) -> None:
    await connection.set_type_codec(
        "int8", schema="pg_catalog", encoder=str, decoder=lambda text: f"<{text}>"
    )
    await connection.set_type_codec(
        "text", schema="pg_catalog", encoder=str, decoder=lambda text: f"<{text}>"
    )


async def listen(connection: HandlerConnection) -> None:
    await connection.add_listener("shop", lambda *_: None)


async def cancel_half_way(connection: HandlerConnection) -> None:
    with pytest.raises(TimeoutError):
        await connection.execute("select pg_sleep(30)", timeout=0.05)


USES: dict[str, Use] = {
    "role": sql(f"set role {ROLE}"),
    "session user": sql(f"set session authorization {ROLE}"),
    "search_path": sql("create schema shop; set search_path = shop, pg_catalog"),
    "statement_timeout": sql("set statement_timeout = '30ms'"),
    "read only": sql("set default_transaction_read_only = on"),
    "setting of its own": sql("set shop.tenant = 'one'"),
    "temporary table": sql("create temp table scratch (i integer)"),
    "lock": sql("select pg_advisory_lock(42)"),
    "cursor": sql("begin; declare kept cursor with hold for select 1; commit"),
    "channel": sql("listen shop"),
    "listener": listen,
    "discard": sql("discard all"),
    "deallocate": sql("deallocate all"),
    "unlisten": sql("unlisten *"),
    "close": lambda connection: connection.close(),
    "open transaction": leave_transaction_open,
    "failed transaction": leave_transaction_failed,
    "types": change_types,
    "cancelled": cancel_half_way,
}


async def marks(connection: HandlerConnection) -> dict[str, Any]:
    """What the session says of itself, and a statement that asyncpg has prepared."""
    row: Any = await connection.fetchrow(
        "select " + ", ".join(f'{what} as "{name}"' for name, what in MARKS.items())
    )
    return {**row, "number": await connection.fetchval("select $1::bigint", 7)}


@pytest.mark.filterwarnings("ignore:.*is being released to the pool:asyncpg.exceptions.InterfaceWarning")
@pytest.mark.parametrize("connections", [2, 3, 4])
@pytest.mark.parametrize("use", USES)
async def test_nothing_reaches_the_next_handler_or_the_worker(
    database_url: str, bystander: str, connections: int, use: str
) -> None:
    """One handler changes its session; those after it see a fresh one, and all messages are completed."""
    seen: list[dict[str, Any]] = []

    @worker(max_pg_connections=connections, max_concurrent=1, max_poll_seconds=60, retry=Retry.none)
    async def handle(number: int, ctx: Context) -> None:
        async with ctx.db as connection:
            seen.append(await marks(connection))
            if number == 1:
                await USES[use](connection)

    async with running(database_url, handle) as run:
        for number in range(4):
            await run.idle()
            await run.send(str(number))
            await run.until(Event.MESSAGE_COMPLETED, count=number + 1)
        assert await run.account() == {"queue": 0, "archive": 4, "dead": 0, "claims": 0}
        assert run.events(Event.WORKER_FAILED, Event.LEASE_LOST, Event.MESSAGE_RETRYING) == []
    assert seen == [seen[0]] * 4


TRANSACTION_USES = {
    name: use for name, use in USES.items() if name in set(MARKS) - {"cursor", "session user", "transaction"}
}


@pytest.mark.parametrize("connections", [2, 3, 4])
@pytest.mark.parametrize("use", TRANSACTION_USES)
async def test_a_transaction_commits_and_is_forgotten(
    database_url: str, bystander: str, adb: asyncpg.Connection, connections: int, use: str
) -> None:
    """The same for ctx.transaction(), whose reset travels with the commit."""
    await adb.execute(f"create table notes (number integer); grant all on notes to {bystander}")
    seen: list[dict[str, Any]] = []

    @worker(max_pg_connections=connections, max_concurrent=1, retry=Retry.none)
    async def handle(number: int, ctx: Context) -> None:
        async with ctx.transaction() as tx:
            seen.append(await marks(tx.connection))
            await tx.execute("insert into public.notes values ($1)", number)
            if number == 1:
                await USES[use](tx.connection)

    async with running(database_url, handle) as run:
        for number in range(4):
            await run.send(str(number))
        assert await finished(run, 4) == {"queue": 0, "archive": 4, "dead": 0, "claims": 0}
        assert await run.count("notes") == 4
    assert [{**one, "transaction": ""} for one in seen] == [{**seen[0], "transaction": ""}] * 4


@pytest.mark.parametrize("connections", [2, 3, 4])
@pytest.mark.parametrize("use", ["db", "transaction"])
async def test_a_connection_that_is_kept_can_not_be_used_any_more(
    database_url: str, connections: int, use: str
) -> None:
    """Kept after its block, a connection swallowed settlements: what was said to be completed was not."""
    kept: list[Any] = []

    @worker(max_pg_connections=connections)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        if kept:
            return
        async with ctx.db if use == "db" else ctx.transaction() as lent:
            connection: Any = lent if use == "db" else lent.connection  # type: ignore[union-attr]
            prepared = await connection.prepare("select $1::integer")
            kept.extend([connection, lent, prepared])

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.MESSAGE_COMPLETED)
        connection, lent, prepared = kept
        uses: list[Callable[[], Awaitable[Any]]] = [
            lambda: connection.execute("begin"),
            connection.reset,
            lambda: lent.execute("begin"),
            lambda: prepared.fetchval(1),
        ]
        for late in uses:
            with pytest.raises(asyncpg.InterfaceError, match="released"):
                await late()
        for _ in range(5):
            await run.send("{}")
        assert await finished(run, 6) == {"queue": 0, "archive": 6, "dead": 0, "claims": 0}


@pytest.mark.parametrize("connections", [2, 3, 4])
@pytest.mark.parametrize("how", ["raises", "cancelled"])
async def test_a_handler_that_fails_half_way_leaves_nothing(
    database_url: str, bystander: str, connections: int, how: str
) -> None:
    """It has set a role and a time limit when it raises, or is cancelled in the middle of a statement."""

    @worker(max_pg_connections=connections, max_concurrent=1, retry=Retry.none, timeout=0.5)
    async def handle(number: int, ctx: Context) -> None:
        async with ctx.db as connection:
            if number != 1:
                assert await connection.fetchval("select current_user::text = session_user::text")
                return
            await connection.execute(f"set role {bystander}")
            if how == "raises":
                raise ValueError
            await connection.execute("select pg_sleep(30)")

    async with running(database_url, handle) as run:
        for number in range(4):
            await run.send(str(number))
        assert await finished(run, 4) == {"queue": 0, "archive": 3, "dead": 1, "claims": 0}


@pytest.mark.parametrize("connections", [2, 3])
async def test_claims_go_on_while_a_handler_holds_its_connection(database_url: str, connections: int) -> None:
    """With three connections handlers have one of their own; with two all take turns."""
    held, release = asyncio.Event(), asyncio.Event()

    @worker(max_pg_connections=connections, max_concurrent=4)
    async def handle(payload: str, ctx: Context) -> None:
        if payload == "holds":
            async with ctx.db:
                held.set()
                await release.wait()

    async with running(database_url, handle) as run:
        await run.send('"holds"')
        await held.wait()
        await run.send('"other"')
        if connections == 3:
            await run.until(Event.MESSAGE_COMPLETED)
        release.set()
        await run.until(Event.MESSAGE_COMPLETED, count=2)


@pytest.mark.parametrize("connections", [2, 3])
async def test_a_handlers_statement_may_take_longer_than_the_workers_own(
    database_url: str, connections: int
) -> None:
    """On the session that all take turns on, the time limit of claims held for handlers too."""

    @worker(max_pg_connections=connections, visibility_timeout=2, retry=Retry.none)
    async def handle(payload: Any, ctx: Context) -> None:
        async with ctx.db as connection:
            await connection.execute("select pg_sleep(1.2)")

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert (await finished(run, 1))["archive"] == 1


async def test_the_workers_own_limit_holds_again_after_a_loan(database_url: str) -> None:
    """The session that all take turns on kept the handler's patience: a claim could hang for hours."""
    address = parse(database_url)
    shared = SharedConnection(address, "test", timeout_s=1.0)
    connections = HandlerConnections(address, 0, shared, Outage(Events(), is_passing))
    async with connections.acquire(lambda _: None) as lent:
        await lent.execute("select pg_sleep(1.2)")
    async with shared.connection() as own:
        with pytest.raises(TimeoutError):
            await own.execute("select pg_sleep(1.2)")
    await shared.close()


@pytest.mark.parametrize("connections", [2, 4])
async def test_a_reset_that_fails_costs_the_session_and_not_the_work(
    database_url: str, adb: asyncpg.Connection, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit is done when the reset behind it fails, the first time: the message is completed, once."""
    await adb.execute("create table notes (number integer); create sequence public.resets")

    def failing_at_first(name: str, *flags: str) -> str:
        text = statement(name, *flags)
        fails = "select 1 / (nextval('public.resets') - 1);\n"
        return fails + text if name == "session_reset" else text

    monkeypatch.setattr(handler_connections, "statement", failing_at_first)
    seen: list[int] = []

    @worker(max_pg_connections=connections, max_concurrent=1, retry=Retry.none)
    async def handle(number: int, ctx: Context) -> None:
        async with ctx.transaction() as tx:
            seen.append(await tx.fetchval("select pg_backend_pid()"))
            await tx.execute("insert into notes values ($1)", number)

    async with running(database_url, handle) as run:
        await run.send("1")
        await run.until(Event.MESSAGE_COMPLETED)
        await run.send("2")
        assert await finished(run, 2) == {"queue": 0, "archive": 2, "dead": 0, "claims": 0}
        assert await run.count("postmill.failures") == 0
        assert await run.count("notes") == 2
    assert len(set(seen)) == 2


async def test_a_commit_that_fails_is_not_taken_for_a_reset(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """A deferred constraint fails at the commit: nothing is written, and the attempt has failed."""
    await adb.execute("create table notes (number integer unique deferrable initially deferred)")

    @worker(retry=Retry.none)
    async def handle(payload: Any, ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("insert into notes values (1), (1)")

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert await finished(run, 1) == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}
        assert await run.db.fetchval("select error_type from postmill.failures") == "UniqueViolationError"
        assert await run.count("notes") == 0
