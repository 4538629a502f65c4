"""Sending on every kind of connection, against a real Postgres."""

from __future__ import annotations

import json
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from postmill import AsyncClient, Client
from postmill.client import sending
from postmill.model.errors import (
    DatabaseUnavailable,
    InvalidOption,
    InvalidPayload,
    InvalidQueueName,
    LoginFailed,
    PayloadTooLarge,
    QueueNotFound,
    SchemaMissing,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    Db = psycopg.Connection[dict[str, Any]]


def rows(db: Db, queue: str = "jobs") -> list[dict[str, Any]]:
    return db.execute(f"select * from pgmq.q_{queue} order by msg_id").fetchall()


@pytest.fixture(autouse=True)
def queue(db: Db) -> None:
    db.execute("select postmill.create_queue('jobs')")


# Every target opens the caller's transaction and leaves it with a commit, or a rollback when the block fails.


@contextmanager
def own_connection(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


@contextmanager
def on_psycopg(url: str, *, autocommit: bool = False) -> Iterator[Client]:
    with psycopg.connect(url, autocommit=autocommit) as connection, ExitStack() as stack:
        if autocommit:
            stack.enter_context(connection.transaction())
        yield Client(connection)


@contextmanager
def on_sqlalchemy(url: str, *, session: bool = False) -> Iterator[Client]:
    engine = sqlalchemy.create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool
    )
    if session:
        with Session(engine) as opened, opened.begin():
            yield Client(opened)
    else:
        with engine.begin() as connection:
            yield Client(connection)


SYNC: dict[str, Callable[[str], AbstractContextManager[Client]]] = {
    "psycopg": on_psycopg,
    "psycopg autocommit": partial(on_psycopg, autocommit=True),
    "sqlalchemy connection": on_sqlalchemy,
    "sqlalchemy session": partial(on_sqlalchemy, session=True),
}


@asynccontextmanager
async def own_pool(url: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(url) as client:
        yield client


@asynccontextmanager
async def on_asyncpg(url: str) -> AsyncIterator[AsyncClient]:
    connection = await asyncpg.connect(url)
    # An application may have its own JSON codec; it must not encode our JSON a second time.
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    try:
        async with connection.transaction():
            yield AsyncClient(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def on_pooled_asyncpg(url: str) -> AsyncIterator[AsyncClient]:
    async with (
        asyncpg.create_pool(url, min_size=1) as pool,
        pool.acquire() as connection,
        connection.transaction(),
    ):
        yield AsyncClient(connection)


@asynccontextmanager
async def on_async_psycopg(url: str) -> AsyncIterator[AsyncClient]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield AsyncClient(connection)


@asynccontextmanager
async def on_async_sqlalchemy(url: str, *, driver: str, session: bool) -> AsyncIterator[AsyncClient]:
    engine = create_async_engine(
        url.replace("postgresql://", f"postgresql+{driver}://", 1), poolclass=NullPool
    )
    if session:
        async with AsyncSession(engine) as opened, opened.begin():
            yield AsyncClient(opened)
    else:
        async with engine.begin() as connection:
            yield AsyncClient(connection)


ASYNC: dict[str, Callable[[str], AbstractAsyncContextManager[AsyncClient]]] = {
    "asyncpg": on_asyncpg,
    "asyncpg of a pool": on_pooled_asyncpg,
    "psycopg": on_async_psycopg,
    "sqlalchemy asyncpg connection": partial(on_async_sqlalchemy, driver="asyncpg", session=False),
    "sqlalchemy asyncpg session": partial(on_async_sqlalchemy, driver="asyncpg", session=True),
    "sqlalchemy psycopg session": partial(on_async_sqlalchemy, driver="psycopg", session=True),
}


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three messages a statement, so that few messages need several statements."""
    monkeypatch.setattr(sending, "BATCH_MESSAGES", 3)


@pytest.mark.parametrize("kind", SYNC)
@pytest.mark.usefixtures("small_batches")
def test_sync_sends_belong_to_the_callers_transaction(kind: str, database_url: str, db: Db) -> None:
    def roll_back() -> None:
        with SYNC[kind](database_url) as client:
            client.send("jobs", 1)
            client.send_many("jobs", range(10))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        roll_back()
    assert rows(db) == []
    with SYNC[kind](database_url) as client:
        first = client.send_many("jobs", range(10), headers={"a": "100%"})
        second = client.send("jobs", {"url": "é"}, headers={"b": None})
        assert rows(db) == []
    found = rows(db)
    assert [row["msg_id"] for row in found] == [*first, second]
    assert [row["message"] for row in found] == [*range(10), {"url": "é"}]
    assert [row["headers"] for row in found] == [{"a": "100%"}] * 10 + [{"b": None}]


@pytest.mark.parametrize("kind", ASYNC)
@pytest.mark.usefixtures("small_batches")
async def test_async_sends_belong_to_the_callers_transaction(kind: str, database_url: str, db: Db) -> None:
    async def roll_back() -> None:
        async with ASYNC[kind](database_url) as client:
            await client.send("jobs", 1)
            await client.send_many("jobs", range(10))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await roll_back()
    assert rows(db) == []
    async with ASYNC[kind](database_url) as client:
        first = await client.send_many("jobs", range(10), headers={"a": "100%"})
        second = await client.send("jobs", {"url": "é"}, headers={"b": None})
        assert rows(db) == []
    found = rows(db)
    assert [row["msg_id"] for row in found] == [*first, second]
    assert [row["message"] for row in found] == [*range(10), {"url": "é"}]
    assert [row["headers"] for row in found] == [{"a": "100%"}] * 10 + [{"b": None}]


@pytest.mark.parametrize("kind", SYNC)
@pytest.mark.usefixtures("small_batches")
def test_a_bad_payload_late_in_a_sync_bulk_leaves_nothing_of_it(kind: str, database_url: str, db: Db) -> None:
    # The first batches were in the caller's transaction already, and the caller goes on and commits.
    with SYNC[kind](database_url) as client:
        with pytest.raises(InvalidPayload):
            client.send_many("jobs", [*range(10), object()])
        client.send("jobs", "kept")
    assert [row["message"] for row in rows(db)] == ["kept"]


@pytest.mark.parametrize("kind", ASYNC)
@pytest.mark.usefixtures("small_batches")
async def test_a_bad_payload_late_in_an_async_bulk_leaves_nothing_of_it(
    kind: str, database_url: str, db: Db
) -> None:
    async with ASYNC[kind](database_url) as client:
        with pytest.raises(InvalidPayload):
            await client.send_many("jobs", [*range(10), object()])
        await client.send("jobs", "kept")
    assert [row["message"] for row in rows(db)] == ["kept"]


@pytest.mark.usefixtures("small_batches")
async def test_a_bad_payload_on_a_connection_of_our_own_leaves_nothing(database_url: str, db: Db) -> None:
    with own_connection(database_url) as client, pytest.raises(InvalidPayload):
        client.send_many("jobs", [*range(10), object()])
    async with own_pool(database_url) as aclient:
        with pytest.raises(InvalidPayload):
            await aclient.send_many("jobs", [*range(10), object()])
    async with asyncpg.create_pool(database_url, min_size=1) as pool:
        with pytest.raises(InvalidPayload):
            await AsyncClient(pool).send_many("jobs", [*range(10), object()])
    assert rows(db) == []


async def test_an_address_and_a_pool_commit_each_send(database_url: str, db: Db) -> None:
    with own_connection(database_url) as client:
        client.send("jobs", "sync")
        assert len(rows(db)) == 1
    async with own_pool(database_url) as aclient:
        await aclient.send("jobs", "async")
        assert len(rows(db)) == 2
    async with asyncpg.create_pool(database_url, min_size=1) as pool:
        assert await AsyncClient(pool).send_many("jobs", []) == []
        await AsyncClient(pool).send("jobs", "pool")
    assert [row["message"] for row in rows(db)] == ["sync", "async", "pool"]


@pytest.mark.parametrize(
    ("options", "low", "high"),
    [
        ({}, 0, 0),
        ({"delay": 60}, 60, 60),
        ({"delay": timedelta(hours=1)}, 3600, 3600),
        ({"run_at": datetime(2100, 1, 1, tzinfo=UTC)}, 1e9, 1e10),
    ],
)
async def test_delayed_messages_become_visible_by_the_servers_clock(
    options: dict[str, Any], low: float, high: float, adb: asyncpg.Connection[Any]
) -> None:
    client = AsyncClient(adb)
    before = await adb.fetchval("select clock_timestamp()")
    await client.send("jobs", 1, **options)
    await client.send_many("jobs", [2, 3], **options)
    after = await adb.fetchval("select clock_timestamp()")
    visible = [row["vt"] for row in await adb.fetch("select vt from pgmq.q_jobs")]
    assert all(before + timedelta(seconds=low) <= vt <= after + timedelta(seconds=high) for vt in visible)


def test_run_at_is_that_moment_whatever_the_session_says(db: Db, database_url: str) -> None:
    with psycopg.connect(database_url, options="-c timezone=Asia/Tokyo -c datestyle=sql,dmy") as connection:
        Client(connection).send("jobs", 1, run_at=datetime(2030, 2, 3, 4, tzinfo=UTC))
    assert rows(db)[0]["vt"] == datetime(2030, 2, 3, 4, tzinfo=UTC)


def test_a_waiting_worker_is_woken_by_single_and_bulk_sends(db: Db, database_url: str) -> None:
    worker = uuid4()
    db.execute(
        "insert into postmill.workers"
        " (worker_id, queue_name, function_name, hostname, pid, version, max_concurrent)"
        " values ($1, 'jobs', 'f', 'here', 1, '1', 1)",
        [worker],
    )
    db.execute("insert into postmill.idle_workers values ('jobs', $1)", [worker])
    db.execute(f'listen "postmill.worker.{worker}"')
    with Client(database_url) as client:
        client.send("jobs", 1)
        assert next(db.notifies(timeout=30, stop_after=1)).payload == "claim"
        client.send_many("jobs", [2, 3])
        assert next(db.notifies(timeout=30, stop_after=1)).payload == "claim"


def test_queues_made_by_pgmq_before_headers(db: Db, database_url: str) -> None:
    # The shape of pgmq 1.4: no headers, no last_read_at.
    db.execute("select pgmq.create('old')")
    db.execute("alter table pgmq.q_old drop column headers")
    db.execute("alter table pgmq.q_old drop column if exists last_read_at")
    with Client(database_url) as client:
        client.send("old", {"a": 1}, delay=3)
        client.send_many("old", [2, 3])
        with pytest.raises(InvalidOption, match="headers"):
            client.send("old", 4, headers={"a": 1})
    assert [row["message"] for row in rows(db, "old")] == [{"a": 1}, 2, 3]


def test_queues_under_names_that_we_do_not_create(db: Db, database_url: str) -> None:
    db.execute("select pgmq.create('My.Queue%s')")
    with Client(database_url) as client:
        client.send("My.Queue%s", 1)
    with on_sqlalchemy(database_url) as client:
        client.send_many("My.Queue%s", [2])
    found = db.execute('select message from pgmq."q_my.queue%s" order by msg_id').fetchall()
    assert [row["message"] for row in found] == [1, 2]


async def test_an_unknown_queue_is_named_with_the_way_to_make_it(database_url: str) -> None:
    with Client(database_url) as client, pytest.raises(QueueNotFound, match="'nowhere'") as caught:
        client.send("nowhere", 1)
    assert "postmill queue create nowhere" in caught.value.hint
    async with AsyncClient(database_url) as aclient:
        with pytest.raises(QueueNotFound, match="'nowhere'"):
            await aclient.send_many("nowhere", [1])
    for kind in ("sqlalchemy connection", "psycopg"):
        with pytest.raises(QueueNotFound), SYNC[kind](database_url) as client:
            client.send("nowhere", 1)
    with pytest.raises(QueueNotFound):
        async with ASYNC["sqlalchemy asyncpg session"](database_url) as aclient:
            await aclient.send("nowhere", 1)


def test_queues_are_created_once(database_url: str, db: Db) -> None:
    with Client(database_url) as client:
        client.create_queue("fresh")
        client.create_queue("fresh")
        client.send("fresh", 1)
        with pytest.raises(InvalidQueueName):
            client.create_queue("Fresh")
    assert len(rows(db, "fresh")) == 1


def test_creating_a_queue_needs_the_schema(database_url: str, db: Db) -> None:
    db.execute("drop schema postmill cascade")
    with Client(database_url) as client, pytest.raises(SchemaMissing, match="postmill migrate"):
        client.create_queue("fresh")


def test_what_jsonb_can_not_hold_is_refused_and_the_client_goes_on(database_url: str, db: Db) -> None:
    with Client(database_url) as client:
        for payload in ("\0", float("nan"), object()):
            with pytest.raises(InvalidPayload):
                client.send("jobs", payload)
        with pytest.raises(PayloadTooLarge):
            client.send("jobs", "x" * 100_000_000)
        client.send("jobs", "kept")
    assert [row["message"] for row in rows(db)] == ["kept"]


async def test_a_server_that_is_not_there(tmp_path: Any) -> None:
    url = f"postgresql://nobody@/nothing?host={tmp_path}"
    with pytest.raises(DatabaseUnavailable):
        Client(url).send("jobs", 1)
    client = AsyncClient(url)
    with pytest.raises(DatabaseUnavailable):
        await client.send("jobs", 1)
    await client.close()


async def test_a_login_that_is_refused(database_url: str) -> None:
    url = database_url.replace("/", "/no_such_database_", 3).replace("/no_such_database_", "/", 2)
    with pytest.raises(LoginFailed, match="no_such_database_"):
        Client(url).send("jobs", 1)
    client = AsyncClient(url)
    with pytest.raises(LoginFailed, match="no_such_database_"):
        await client.send("jobs", 1)
    await client.close()


async def test_a_broken_connection_of_our_own_is_replaced(database_url: str, db: Db) -> None:
    kill = (
        "select count(pg_terminate_backend(pid, 5000)) as killed from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid() and application_name = 'postmill'"
    )
    client, aclient = Client(database_url), AsyncClient(database_url)
    client.send("jobs", 1)
    await aclient.send("jobs", 2)
    assert db.execute(kill).fetchall() == [{"killed": 2}]
    with pytest.raises(DatabaseUnavailable):
        client.send("jobs", 3)
    client.send("jobs", 4)
    try:
        await aclient.send("jobs", 5)
    except DatabaseUnavailable:  # the pool may not have noticed yet
        await aclient.send("jobs", 5)
    client.close()
    client.close()
    await aclient.close()
    await aclient.close()
    assert [row["message"] for row in rows(db)] == [1, 2, 4, 5]


def test_each_client_names_the_other_one_for_its_connections(database_url: str) -> None:
    with psycopg.connect(database_url) as connection, pytest.raises(InvalidOption, match=r"postmill\.Client"):
        AsyncClient(connection)


async def test_a_client_never_closes_the_callers_connection(
    adb: asyncpg.Connection[Any], database_url: str
) -> None:
    async with AsyncClient(adb) as client:
        await client.send("jobs", 1)
    assert not adb.is_closed()
    with psycopg.connect(database_url) as connection:
        with Client(connection) as sync_client:
            sync_client.send("jobs", 2)
        assert not connection.closed
