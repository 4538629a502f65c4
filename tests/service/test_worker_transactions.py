"""The handler's writes and its message's completion: together, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from postmill import Context, Retry, worker
from postmill.model.errors import LeaseLost, Refused
from postmill.model.events import Event
from tests.service.running import finished, running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@pytest.fixture
async def notes(adb: asyncpg.Connection) -> Callable[[], Awaitable[list[str]]]:
    """A table of the handler's own, and what is in it."""
    await adb.execute("create table notes (body text not null)")

    async def read() -> list[str]:
        return [row["body"] for row in await adb.fetch("select body from notes order by body")]

    return read


Notes = Any


@pytest.mark.parametrize("connections", [2, 3, 4, 6])
@pytest.mark.parametrize("on_success", ["archive", "delete"])
async def test_writes_and_completion_commit_together(
    database_url: str, notes: Notes, connections: int, on_success: str
) -> None:
    @worker(max_pg_connections=connections, on_success=on_success)
    async def handle(number: int, ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("insert into notes values ($1)", f"note {number}")

    async with running(database_url, handle) as run:
        for number in range(8):
            await run.send(str(number))
        await run.until(Event.MESSAGE_COMPLETED, count=8)
        archived = 8 if on_success == "archive" else 0
        assert await run.account() == {"queue": 0, "archive": archived, "dead": 0, "claims": 0}
    assert await notes() == [f"note {number}" for number in range(8)]


async def test_a_handler_that_raises_inside_has_written_nothing(database_url: str, notes: Notes) -> None:
    @worker(retry=Retry.fixed(0, 2))
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("insert into notes values ($1)", f"attempt {ctx.attempt}")
            if ctx.attempt == 1:
                raise ValueError

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert (await finished(run, 1))["archive"] == 1
    assert await notes() == ["attempt 2"]


async def test_a_message_that_somebody_took_meanwhile_leaves_nothing_written(
    database_url: str, notes: Notes
) -> None:
    stolen = asyncio.Event()
    raised = []

    @worker
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        try:
            async with ctx.transaction() as tx:
                await tx.execute("insert into notes values ('mine')")
                async with asyncio.timeout(20):
                    await stolen.wait()
        except LeaseLost as error:
            raised.append(error)
            raise

    async with running(database_url, handle) as run:
        msg_id = await run.send("{}")
        await run.until(Event.MESSAGE_CLAIMED)
        await run.db.execute("select pgmq.set_vt('tasks', $1::bigint, 0)", msg_id)
        (thief,) = await run.db.fetch("select * from pgmq.read('tasks', 300, 1)")
        stolen.set()
        await run.until(Event.LEASE_LOST)
        assert (thief["msg_id"], thief["read_ct"]) == (msg_id, 2)
        row = await run.db.fetchrow("select * from pgmq.q_tasks")
        assert (row["read_ct"], row["vt"]) == (2, thief["vt"])  # the thief's lease is untouched
        await run.let_go()
        assert run.ends(msg_id) == [Event.LEASE_LOST]
    assert len(raised) == 1
    assert await notes() == []


async def test_a_handler_may_go_on_after_its_transaction(database_url: str, notes: Notes) -> None:
    """What it raises then can't fail the message any more: it is said, and nothing runs twice."""

    @worker
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("insert into notes values ('once')")
        raise ValueError("too late")

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.HOOK_FAILED)
        await run.until(Event.MESSAGE_COMPLETED)
        assert await run.account() == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
    assert await notes() == ["once"]


async def test_a_second_transaction_after_the_first_has_committed_is_refused(
    database_url: str, notes: Notes
) -> None:
    refused = []

    @worker
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("insert into notes values ('first')")
        try:
            async with ctx.transaction() as tx:
                await tx.execute("insert into notes values ('second')")
        except Refused as error:
            refused.append(error)

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.MESSAGE_COMPLETED)
    assert len(refused) == 1
    assert await notes() == ["first"]


@pytest.mark.parametrize("connections", [2, 4])
@pytest.mark.parametrize(
    "text",
    [
        "rollback",
        " COMMIT;",
        "end",
        "abort",
        "rollback and chain",
        "select 1; commit",
        "select 1; rollback; begin",
        "commit; begin",
        "/* so */ rollback",
        "-- so\n /* and so */ commit",
        "select 1; /* so */ rollback",
        "do $$ begin rollback; end $$",
        "call finish()",
    ],
)
async def test_a_transaction_that_is_ended_by_hand_completes_nothing(
    database_url: str, notes: Notes, connections: int, text: str
) -> None:
    """The message was completed although its writes were rolled back."""

    @worker(retry=Retry.none, max_pg_connections=connections)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("insert into notes values ('mine')")
            await tx.execute(text)

    async with running(database_url, handle) as run:
        await run.db.execute(
            "create procedure finish() language plpgsql as $$"
            " begin rollback; insert into notes values ('its'); end $$"
        )
        await run.send("{}")
        assert await finished(run, 1) == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}
        error_type = await run.db.fetchval("select error_type from postmill.failures")
        assert error_type in {"Refused", "InvalidTransactionTerminationError"}
        await run.send("{}")
        await run.until(Event.MESSAGE_DEAD, count=2)  # the connection is as good as before
    assert "mine" not in await notes() or text in {"select 1; commit"}


async def breaks(tx: Any) -> None:
    with suppress(asyncpg.PostgresError):
        await tx.execute("select 1 / 0")


async def gives_up_a_statement(tx: Any) -> None:
    with suppress(TimeoutError):
        await tx.connection.execute("select pg_sleep(60)", timeout=0.05)


async def rolls_back_to_nowhere(tx: Any) -> None:
    with suppress(asyncpg.PostgresError):
        await tx.execute("rollback to nowhere")


@pytest.mark.parametrize("swallow", [breaks, gives_up_a_statement, rolls_back_to_nowhere])
async def test_an_error_that_the_handler_swallows_is_its_failed_attempt(
    database_url: str, notes: Notes, swallow: Any
) -> None:
    """The transaction is broken, so it completes nothing. It was taken for a refusal of the queue: the
    message ran again every 30 s for ever, and no attempt was counted.
    """

    @worker(retry=Retry.fixed(0, 2))
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("insert into notes values ('mine')")
            await swallow(tx)

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert await finished(run, 1) == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}
        assert await run.count("postmill.failures where error_type = 'InFailedSQLTransactionError'") == 2
    assert await notes() == []


@pytest.mark.parametrize("connections", [2, 4])
async def test_savepoints_by_hand_are_the_handlers_own(
    database_url: str, notes: Notes, connections: int
) -> None:
    @worker(max_pg_connections=connections)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        async with ctx.transaction() as tx:
            await tx.execute("set transaction isolation level repeatable read")
            await tx.execute("insert into notes values ('first')")
            await tx.execute("savepoint here")
            await tx.execute("insert into notes values ('undone')")
            await tx.execute("rollback to savepoint here")
            await tx.execute("rollback work to here")
            await tx.execute("release savepoint here")
            async with tx.connection.transaction(isolation="repeatable_read"):
                await tx.execute("do $$ begin insert into notes values ('last'); end $$")
            inner = tx.connection.transaction()
            await inner.start()
            await tx.execute("insert into notes values ('undone')")
            await inner.rollback()

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.MESSAGE_COMPLETED)
        assert await run.account() == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
    assert await notes() == ["first", "last"]


async def test_a_transaction_that_outlives_its_handler_writes_nothing(
    database_url: str, notes: Notes
) -> None:
    """A task of the handler's is still in the block when the handler returns."""
    inside, go_on = asyncio.Event(), asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    @worker
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        async def write() -> None:
            async with ctx.transaction() as tx:
                await tx.execute("insert into notes values ('late')")
                inside.set()
                await go_on.wait()

        tasks.append(asyncio.create_task(write()))
        await inside.wait()

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.MESSAGE_COMPLETED)
        go_on.set()
        with pytest.raises(Refused, match="after the handler had ended"):
            await tasks[0]
        assert await run.account() == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
    assert await notes() == []


@pytest.mark.parametrize("how", ["tx", "ctx", "both"])
async def test_messages_are_sent_with_the_completion_only(database_url: str, how: str) -> None:
    @worker(retry=Retry.fixed(0, 2))
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        if how != "tx":
            ctx.send("onward", {"by": "ctx", "attempt": ctx.attempt})
        if how != "ctx":
            async with ctx.transaction() as tx:
                await tx.send("onward", {"by": "tx", "attempt": ctx.attempt})
                if ctx.attempt == 1:
                    raise ValueError
        if ctx.attempt == 1:
            raise ValueError

    async with running(database_url, handle) as run:
        await run.db.execute("select postmill.create_queue('onward')")
        await run.send("{}")
        await run.until(Event.MESSAGE_COMPLETED)
        assert await run.account() == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
        sent = await run.db.fetch(
            "select message->>'by' as by, message->>'attempt' as nth from pgmq.q_onward"
        )
    expected = ["ctx", "tx"] if how == "both" else [how]
    assert sorted((row["by"], row["nth"]) for row in sent) == [(by, "2") for by in expected]


async def test_a_send_to_a_missing_queue_fails_the_attempt(database_url: str) -> None:
    @worker(retry=Retry.none)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        ctx.send("nowhere", {})

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert await finished(run, 1) == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}


async def test_a_result_is_kept_beside_what_the_handler_sent(database_url: str) -> None:
    """A completion with sends, or in the handler's own transaction, forgot the result."""

    @worker(keep_results=True)
    async def handle(payload: str, ctx: Context) -> str:
        if payload == "send":
            ctx.send("tasks2", {})
        if payload == "transaction":
            async with ctx.transaction():
                pass
        return payload

    async with running(database_url, handle) as run:
        await run.db.execute("select postmill.create_queue('tasks2')")
        for payload in ("plain", "send", "transaction"):
            await run.send(f'"{payload}"')
        await run.until(Event.MESSAGE_COMPLETED, count=3)
        kept = await run.db.fetch("select result #>> '{}' as result from postmill.results order by msg_id")
    assert [row["result"] for row in kept] == ["plain", "send", "transaction"]


@pytest.mark.parametrize("connections", [2, 3, 4])
async def test_a_second_connection_inside_the_only_one_is_refused(
    database_url: str, connections: int
) -> None:
    @worker(max_pg_connections=connections, retry=Retry.none)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        async with ctx.db, ctx.db:
            pass

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert (await finished(run, 1))["dead"] == 1
        assert await run.db.fetchval("select error_type from postmill.failures") == "Refused"


async def test_handlers_that_all_want_a_second_connection_do_not_wait_for_each_other(
    database_url: str,
) -> None:
    """Two connections, two handlers that hold one each: without a refusal both would wait for ever."""
    both = asyncio.Barrier(2)

    @worker(max_pg_connections=5, max_concurrent=2, retry=Retry.none)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        async with ctx.db:
            await both.wait()
            async with ctx.db:
                pass

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.send("{}")
        await finished(run, 2)


@pytest.mark.parametrize("connections", [2, 3])
async def test_a_transaction_left_open_on_a_shared_connection_swallows_no_settlement(
    database_url: str, notes: Notes, connections: int
) -> None:
    """Settlements share the handler's connection: what it left open would have been rolled back."""

    @worker(max_pg_connections=connections)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        async with ctx.db as connection:
            await connection.execute("begin")
            await connection.execute("insert into notes values ('forgotten')")

    async with running(database_url, handle) as run:
        for _ in range(5):
            await run.send("{}")
        assert await finished(run, 5) == {"queue": 0, "archive": 5, "dead": 0, "claims": 0}
    assert await notes() == []


async def test_a_plain_function_reaches_the_database_through_the_loop(
    database_url: str, notes: Notes
) -> None:
    @worker
    def handle(payload: dict[str, Any], ctx: Context) -> None:
        async def write() -> None:
            async with ctx.transaction() as tx:
                await tx.execute("insert into notes values ('from a thread')")

        ctx.wait_for(write())

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.MESSAGE_COMPLETED)
        assert await run.account() == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
    assert await notes() == ["from a thread"]
