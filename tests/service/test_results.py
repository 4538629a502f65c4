"""Waiting for results: every way in which a message ends, on every target, and what may come between."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from postmill import AsyncClient, Client, Context, worker
from postmill.client import waiting
from postmill.model.errors import (
    InvalidOption,
    InvalidQueueName,
    MessageCancelled,
    MessageDead,
    NotFound,
    QueueNotFound,
    Refused,
    ResultNotKept,
    ResultTimedOut,
    TimedOut,
)
from postmill.model.queue.retry import FixedRetry
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator

    from tests.service.running import Running


@pytest.fixture
def told_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No poll comes: only a notification can explain that a wait has ended."""
    for pause in ("POLL_S", "FIRST_POLL_S"):
        monkeypatch.setattr(waiting, pause, 3600.0)


@asynccontextmanager
async def doubling(url: str, **options: Any) -> AsyncIterator[tuple[Running, asyncio.Event]]:
    """A worker at rest; its handler doubles a number, once the event is set."""
    gate = asyncio.Event()

    @worker(queue="tasks", **{"keep_results": True, "retry": FixedRetry(max_attempts=1), **options})
    async def double(number: int) -> int:
        await gate.wait()
        if number < 0:
            raise ValueError("it is negative")
        return number * 2

    async with running(url, double) as run:
        await run.idle()
        try:
            yield run, gate
        finally:
            gate.set()


async def soon(result: Awaitable[Any]) -> Any:
    """A result that does not come is a failure: a time limit of the wait itself ends with a last look."""
    async with asyncio.timeout(GIVE_UP_S):
        return await result


async def waited_for(url: str) -> None:
    """Until a row of a waiter is there."""
    connection = await asyncpg.connect(url)
    async with asyncio.timeout(GIVE_UP_S):
        while not await connection.fetchval("select exists (select from postmill.waiters)"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # nobody else says it
    await connection.close()


async def waiters(run: Running, count: int) -> None:
    """Until so many rows of waiters are there."""
    await run.true_in_database(f"(select count(*) = {count} from postmill.waiters)")


@pytest.mark.usefixtures("told_only")
async def test_a_result_comes_by_a_notification(database_url: str) -> None:
    async with doubling(database_url) as (run, gate), AsyncClient(database_url) as client:
        msg_id = await client.send("tasks", 21)
        result = asyncio.create_task(client.result(("tasks", msg_id)))
        await waiters(run, 1)
        gate.set()
        assert await soon(result) == 42
        await waiters(run, 0)
        assert await client.result("tasks", msg_id) == 42  # one look, as ever
        assert await client.result(("tasks", msg_id)) == 42


async def test_what_a_send_returns_names_the_message(database_url: str, queue: str) -> None:
    async with AsyncClient(database_url) as client:
        first, second = await client.send_many(queue, [1, 2])
        await asyncio.to_thread(finish, database_url)
        assert [await client.result(first), await client.result(second, timeout=1)] == [1, 2]
        assert await client.result(second.ref) == 2
    with Client(database_url) as client:
        assert client.result(first) == 1


@pytest.mark.usefixtures("told_only")
async def test_a_death_and_its_reason_come_by_a_notification(database_url: str) -> None:
    async with doubling(database_url) as (run, gate), AsyncClient(database_url) as client:
        msg_id = await client.send("tasks", -1)
        result = asyncio.create_task(client.result(("tasks", msg_id)))
        await waiters(run, 1)
        gate.set()
        with pytest.raises(MessageDead, match=r"is dead: .*") as caught:
            await soon(result)
        assert (caught.value.error_type, caught.value.letter["msg_id"]) == ("ValueError", msg_id)
        assert "it is negative" in caught.value.letter["traceback"]
        (new,) = await client.replay("tasks")
        with pytest.raises(MessageDead, match=f"replayed as message {new}"):
            await client.result(("tasks", msg_id))


@pytest.mark.usefixtures("told_only")
@pytest.mark.parametrize("runs", [True, False])
async def test_a_cancellation_comes_by_a_notification(database_url: str, runs: bool) -> None:
    async with doubling(database_url) as (run, _), AsyncClient(database_url) as client:
        msg_id = await client.send("tasks", 1, delay=0 if runs else 3600)
        result = asyncio.create_task(client.result(("tasks", msg_id)))
        await waiters(run, 1)
        if runs:
            await run.true_in_database("exists (select from postmill.claims)")
        assert await client.cancel("tasks", msg_id) == ("requested" if runs else "cancelled")
        with pytest.raises(MessageCancelled):
            await soon(result)


@pytest.mark.usefixtures("told_only")
async def test_the_result_of_a_handlers_own_transaction_comes_by_a_notification(database_url: str) -> None:
    """It takes two steps: the message leaves its queue in the transaction, its result is written after it."""
    gate = asyncio.Event()

    @worker(queue="tasks", keep_results=True)
    async def book(number: int, ctx: Context) -> int:
        await gate.wait()
        async with ctx.transaction():
            return number * 2

    async with running(database_url, book) as run, AsyncClient(database_url) as client:
        msg_id = await client.send("tasks", 21)
        result = asyncio.create_task(client.result(("tasks", msg_id)))
        await waiters(run, 1)
        gate.set()
        assert await soon(result) == 42


@pytest.mark.parametrize("on_success", ["archive", "delete"])
async def test_a_worker_that_keeps_no_results(database_url: str, on_success: str) -> None:
    """The wait ends when the message does: that it has completed is known of an archived one only."""
    async with (
        doubling(database_url, keep_results=False, on_success=on_success) as (run, gate),
        AsyncClient(database_url) as client,
    ):
        msg_id = await client.send("tasks", 1)
        result = asyncio.create_task(client.result(("tasks", msg_id)))
        await waiters(run, 1)
        gate.set()
        with pytest.raises(
            NotFound, match="not kept" if on_success == "archive" else "Nothing is known"
        ) as caught:
            await soon(result)
        assert isinstance(caught.value, ResultNotKept) == (on_success == "archive")


async def test_nothing_to_wait_for_is_said_at_once(database_url: str, adb: asyncpg.Connection) -> None:
    await adb.execute("select postmill.create_queue('tasks')")
    async with AsyncClient(database_url) as client:
        with pytest.raises(NotFound, match="Nothing is known of message 7 of queue tasks"):
            await client.result(("tasks", 7))
        with pytest.raises(QueueNotFound, match="no queue 'nothing'"):
            await client.result(("nothing", 7))
        for odd in (7, ("tasks", 0), ("tasks", 2**63), ("tasks", "7"), ("tasks", True), "tasks", ("tasks",)):
            with pytest.raises(InvalidOption):
                await client.result(odd)  # type: ignore[arg-type]
        with pytest.raises(InvalidQueueName):
            await client.result((7, 7))  # type: ignore[arg-type]
        for timeout in (-1, float("nan"), "1"):
            with pytest.raises(InvalidOption):
                await client.result(("tasks", 7), timeout=timeout)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [0, 0.05])
async def test_a_timeout_says_what_the_message_is_doing(database_url: str, timeout: float) -> None:
    async with doubling(database_url) as (run, _), AsyncClient(database_url) as client:
        soon, later = await client.send("tasks", 1), await client.send("tasks", 1, delay=3600)
        await run.true_in_database("exists (select from postmill.claims)")
        for msg_id, state in ((soon, "running"), (later, "scheduled")):
            with pytest.raises(ResultTimedOut, match=f"It is {state}") as caught:
                await client.result(("tasks", msg_id), timeout=timeout)
            assert caught.value.state == state
            assert isinstance(caught.value, TimeoutError)
            assert isinstance(caught.value, TimedOut)
        await waiters(run, 0)


async def test_a_timeout_of_zero_finds_what_is_there(database_url: str, adb: asyncpg.Connection) -> None:
    await adb.execute("select postmill.create_queue('tasks')")
    await adb.execute("insert into postmill.results values ('tasks', 5, '[1, null]')")
    async with AsyncClient(database_url) as client:
        assert await client.result(("tasks", 5), timeout=0) == [1, None]


async def test_a_wait_that_is_cancelled_leaves_no_row(database_url: str) -> None:
    async with doubling(database_url) as (run, _), AsyncClient(database_url) as client:
        msg_id = await client.send("tasks", 1)
        one, other = (asyncio.create_task(client.result(("tasks", msg_id))) for _ in range(2))
        await waiters(run, 1)
        one.cancel()
        await asyncio.wait([one])
        assert await run.count("postmill.waiters") == 1
        other.cancel()
        await waiters(run, 0)


async def test_a_client_that_is_closed_ends_its_waits(database_url: str) -> None:
    async with doubling(database_url) as (run, _):
        client = AsyncClient(database_url)
        result = asyncio.create_task(client.result(("tasks", await client.send("tasks", 1))))
        await waiters(run, 1)
        await client.close()
        with pytest.raises(Refused, match="closed"):
            await soon(result)
        assert await run.count("postmill.waiters") == 0


@pytest.mark.usefixtures("told_only")
async def test_a_thousand_waits_take_one_connection(database_url: str) -> None:
    async with doubling(database_url, max_concurrent=200) as (run, gate), AsyncClient(database_url) as client:
        ids = await client.send_many("tasks", range(1000))
        waits = [asyncio.create_task(client.result(("tasks", msg_id))) for msg_id in ids]
        await waiters(run, 1000)
        assert await run.count("pg_stat_activity where application_name = 'postmill results'") == 1
        gate.set()
        assert await asyncio.gather(*waits) == [2 * number for number in range(1000)]
        await waiters(run, 0)


async def test_an_end_between_the_registration_and_the_look_is_seen(
    database_url: str, monkeypatch: pytest.MonkeyPatch, told_only: None
) -> None:
    """The message ends before the row is there: nobody is told, so only the look after it can see the end."""
    register = waiting.Waiting._register  # noqa: SLF001 - the place between two steps
    async with doubling(database_url) as (run, gate), AsyncClient(database_url) as client:
        msg_id = await client.send("tasks", 21)

        async def late(self: waiting.Waiting, fresh: set[Any]) -> None:
            gate.set()
            await run.true_in_database("exists (select from postmill.results)")
            await register(self, fresh)

        monkeypatch.setattr(waiting.Waiting, "_register", late)
        assert await soon(client.result(("tasks", msg_id))) == 42


async def test_an_end_that_neither_step_sees_is_polled_for(
    database_url: str, adb: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A settlement began before the row was there, and commits after the look: nobody is told, ever."""
    await adb.execute("select postmill.create_queue('tasks')")
    other = await asyncpg.connect(database_url)
    async with AsyncClient(database_url) as client:
        msg_id = await client.send("tasks", 1)
        settlement = other.transaction()
        await settlement.start()
        await other.execute("insert into postmill.results values ('tasks', $1, '2')", msg_id)
        await other.execute("delete from pgmq.q_tasks")
        result = asyncio.create_task(client.result(("tasks", msg_id)))
        await waited_for(database_url)
        await settlement.commit()
        assert await soon(result) == 2
    await other.close()


def test_threads_wait_through_one_client(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as db, Client(database_url) as client:
        db.execute("select postmill.create_queue('tasks')")
        ids = client.send_many("tasks", range(20))
        found: dict[int, Any] = {}

        def wait(msg_id: int) -> None:
            found[msg_id] = client.result(("tasks", msg_id), timeout=GIVE_UP_S)

        threads = [threading.Thread(target=wait, args=(msg_id,)) for msg_id in ids]
        for thread in threads:
            thread.start()
        with db.transaction():
            db.execute("insert into postmill.results select 'tasks', msg_id, message from pgmq.q_tasks")
            db.execute("delete from pgmq.q_tasks")
        for thread in threads:
            thread.join(GIVE_UP_S)
        assert found == {msg_id: number for number, msg_id in enumerate(ids)}
        with pytest.raises(ResultTimedOut, match="scheduled"):
            client.result(("tasks", client.send("tasks", 1, delay=3600)), timeout=0.05)
    assert not [each for each in threading.enumerate() if each.name == "postmill results"]


def finish(url: str) -> None:
    """Every message of the queue completes."""
    with psycopg.connect(url) as db:
        db.execute("insert into postmill.results select 'tasks', msg_id, message from pgmq.q_tasks")
        db.execute("delete from pgmq.q_tasks")


@pytest.fixture
def queue(database_url: str) -> str:
    with psycopg.connect(database_url) as db:
        db.execute("select postmill.create_queue('tasks')")
    return "tasks"


@asynccontextmanager
async def async_targets(url: str, kind: str) -> AsyncIterator[Any]:
    if kind == "asyncpg":
        connection = await asyncpg.connect(url)
        yield connection
        await connection.close()
    elif kind.startswith("pool"):
        async with asyncpg.create_pool(url, min_size=1, max_size=int(kind[-1])) as pool:
            yield pool
    elif kind.startswith("psycopg"):
        async with await psycopg.AsyncConnection.connect(
            url, autocommit=kind.endswith("autocommit")
        ) as opened:
            yield opened
    else:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
        async with engine.connect() if kind == "sqlalchemy" else AsyncSession(engine) as opened:
            yield opened
        await engine.dispose()


ASYNC_TARGETS = ("asyncpg", "pool 1", "pool 2", "psycopg", "psycopg autocommit", "sqlalchemy", "session")


@pytest.mark.parametrize("kind", ASYNC_TARGETS)
async def test_a_callers_connection_waits_and_is_left_as_it_was(
    database_url: str, queue: str, kind: str
) -> None:
    async with AsyncClient(database_url) as own, async_targets(database_url, kind) as target:
        client = AsyncClient(target)
        ids = await own.send_many(queue, [1, 2])
        both = asyncio.gather(*(client.result((queue, msg_id), timeout=GIVE_UP_S) for msg_id in ids))
        await asyncio.sleep(0.05)  # not needed: most ends come while it waits
        await asyncio.to_thread(finish, database_url)
        assert await both == [1, 2]
        assert await client.result((queue, ids[0]), timeout=0) == 1
        pending = await own.send(queue, 3)
        with pytest.raises(ResultTimedOut, match="ready"):
            await client.result((queue, pending), timeout=0.05)
        await client.close()  # the rows of waits on a pool are deleted soon after; by now for certain
        in_transaction = getattr(target, "is_in_transaction", getattr(target, "in_transaction", None))
        if in_transaction is not None:
            assert not in_transaction()
        elif kind.startswith("psycopg"):
            assert target.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with psycopg.connect(database_url) as db:
            assert db.execute("select from postmill.waiters").fetchall() == []


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg", "sqlalchemy", "session"])
async def test_in_a_transaction_of_the_callers_nothing_can_be_waited_for(
    database_url: str, queue: str, kind: str
) -> None:
    """The message that it waits for may be one that no worker sees before the commit."""
    async with async_targets(database_url, kind) as target:
        client = AsyncClient(target)
        begun = target.transaction() if kind == "asyncpg" else None
        if begun is not None:
            await begun.start()
        msg_id = await client.send(queue, 1)
        with pytest.raises(Refused, match="Commit first"):
            await client.result((queue, msg_id), timeout=1)
        await (begun.commit() if begun is not None else target.commit())
        with pytest.raises(ResultTimedOut):
            await client.result((queue, msg_id), timeout=0)


@pytest.fixture(params=["psycopg", "sqlalchemy", "session"])
def sync_target(request: pytest.FixtureRequest, database_url: str) -> Iterator[Any]:
    if request.param == "psycopg":
        with psycopg.connect(database_url) as opened:
            yield opened
        return
    engine = sqlalchemy.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() if request.param == "sqlalchemy" else Session(engine) as opened:
        yield opened
    engine.dispose()


def test_the_same_for_synchronous_connections(database_url: str, queue: str, sync_target: Any) -> None:
    client = Client(sync_target)
    msg_id = client.send(queue, 7)
    with pytest.raises(Refused, match="Commit first"):
        client.result((queue, msg_id), timeout=1)
    sync_target.commit()
    with pytest.raises(ResultTimedOut, match="ready"):
        client.result((queue, msg_id), timeout=0.05)
    later = threading.Timer(0.1, finish, (database_url,))
    later.start()
    assert client.result((queue, msg_id), timeout=GIVE_UP_S) == 7
    later.join()


GRANTS = """
grant usage on schema postmill, pgmq to waits_for_results;
grant execute on function postmill._outcomes to waits_for_results;
grant select on postmill.results, postmill.dead_letters to waits_for_results;
grant select on postmill.cancellations, postmill.claims to waits_for_results;
grant select (msg_id) on pgmq.q_tasks to waits_for_results;
grant select (msg_id, enqueued_at) on pgmq.a_tasks to waits_for_results;
"""
REGISTERS = "grant select, insert, update, delete on postmill.waiters to waits_for_results"


@pytest.mark.parametrize("registers", [True, False])
async def test_a_role_with_the_documented_grants_waits(
    database_url: str, queue: str, registers: bool
) -> None:
    """The one that may not write the row is not refused: it polls."""
    with psycopg.connect(database_url, autocommit=True) as db:
        role = f"waits_for_results_{uuid4().hex[:12]}"  # roles are the whole server's
        db.execute(f"create role {role} login".encode())
        try:
            grants = GRANTS + (REGISTERS if registers else "")
            db.execute(grants.replace("waits_for_results", role).encode())
            (msg_id,) = db.execute("select pgmq.send('tasks', '5')").fetchone() or (0,)
            async with AsyncClient(database_url.replace("postgres@", f"{role}@", 1)) as client:
                result = asyncio.create_task(client.result((queue, msg_id)))
                if registers:
                    await waited_for(database_url)
                await asyncio.to_thread(finish, database_url)
                assert await soon(result) == 5
        finally:
            db.execute(f"drop owned by {role}".encode())
            db.execute(f"drop role {role}".encode())
