"""Settlements that the database refuses, each for another reason, and what becomes of the messages.

A refusal that follows the row ends: attempts are counted, and at last there is a dead letter. One that every
row meets is an outage of the queue: outcomes are kept, nothing is claimed, nothing is buried.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest

from postmill import Dead, Retry
from postmill.db.tools.migrate import migrate
from postmill.engine.run import verdicts
from postmill.engine.settle import refusals
from postmill.model.events import Event
from postmill.model.queue.refusal import PUT_OFF_S, UNCOUNTED
from tests.faults.account import Account
from tests.faults.handlers import handler
from tests.faults.scene import Scene
from tests.servers import named
from tests.service.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.embedded import Server

TWICE = Retry.fixed(0, 2)

RAISE = """
create function refuse() returns trigger language plpgsql as
$$ begin
   if new.message ? 'odd' then raise exception 'no such order: caf\u00e9'; end if;
   return new;
end $$;
create trigger refuse before insert on pgmq.a_tasks for each row execute function refuse()
"""
BROKEN = """
create function refuse() returns trigger language plpgsql as
$$ begin
   if new.message ? 'odd' then perform no_such_function(); end if;
   return new;
end $$;
create trigger refuse before insert on pgmq.a_tasks for each row execute function refuse()
"""
KEEP = """
create function keep() returns trigger language plpgsql as
$$ begin return case when old.message ? 'odd' then null else old end; end $$;
create trigger keep before delete on pgmq.q_tasks for each row execute function keep()
"""
BURY_NOTHING = """
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no letters'; end $$;
create trigger refuse before insert on postmill.dead_letters for each row execute function refuse()
"""
SILENT = """
create function keep_out() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger keep_out before insert on postmill.{table} for each row execute function keep_out()
"""
RECORD_NOTHING = """
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no records'; end $$;
create trigger refuse before insert on postmill.failures for each row execute function refuse()
"""
MEETS = """
create function meet() returns trigger language plpgsql as
$$ begin if new.message ? 'odd' then {what}; end if; return new; end $$;
create trigger meet before insert on pgmq.a_tasks for each row execute function meet()
"""
OPEN_ROWS = "create policy open on pgmq.a_tasks using (true) with check (not message ? 'odd')"
SHUT_ROWS = "create policy shut on pgmq.a_tasks using (true) with check (false)"


@asynccontextmanager
async def ordinary_role(scene: Scene) -> AsyncIterator[tuple[str, str]]:
    """An address of a role that owns nothing and has the rights of a worker, and its name."""
    role = f"ordinary_{uuid4().hex[:8]}"
    await scene.db.execute(
        f"create role {role} login;"
        f"grant usage on schema pgmq, postmill, public to {role};"
        f"grant all on all tables in schema pgmq, postmill, public to {role};"
        f"grant all on all sequences in schema pgmq, postmill to {role};"
        f"grant execute on all functions in schema pgmq, postmill to {role}"
    )
    try:
        yield scene.url.replace("//postgres@", f"//{role}@"), role
    finally:
        await scene.db.execute(f"drop owned by {role}; drop role {role}")


@asynccontextmanager
async def encoded(server: Server, encoding: str) -> AsyncIterator[Scene]:
    """A database whose encoding is not UTF-8."""
    name = f"encoded_{uuid4().hex[:8]}"
    with psycopg.connect(named(server.url, "postgres"), autocommit=True) as admin:
        admin.execute(
            f"create database {name} encoding '{encoding}' template template0"
            " lc_collate 'C' lc_ctype 'C' locale_provider 'libc'".encode()
        )
    url = named(server.url, name)
    with psycopg.connect(url, autocommit=True, client_encoding="utf8") as connection:
        migrate(connection)
    scene = Scene(url, await asyncpg.connect(url))
    try:
        await scene.prepare()
        yield scene
    finally:
        await scene.close()
        with psycopg.connect(named(server.url, "postgres"), autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)".encode())


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        ("insert into pgmq.a_tasks (msg_id, vt, message) values (1, now(), '{}')", "23505"),
        ("alter table pgmq.a_tasks add check (not message ? 'odd')", "23514"),
        (RAISE, "no such order: caf\\xe9"),
    ],
    ids=["the archive has the id", "a check", "a trigger"],
)
async def test_a_row_that_the_archive_refuses_is_dead_in_the_end(
    scene: Scene, refusal: str, says: str
) -> None:
    """It was lost: it ran again at the end of each lease, for ever, and no attempt was counted."""
    async with running(scene.url, handler("batch", batch=4, retry=TWICE)) as run:
        await scene.db.execute("select postmill.pause('tasks')")
        await run.until(Event.QUEUE_PAUSED)
        await scene.db.execute(refusal)
        odd, *others = [*await scene.send(odd=1), *await scene.send(3)]
        await scene.db.execute("select postmill.resume('tasks')")
        await run.until(Event.MESSAGE_COMPLETED, count=3)
        await run.until(Event.MESSAGE_DEAD)
        await scene.until("select not exists (select from postmill.claims)")
        refused = run.events(Event.SETTLEMENT_REFUSED)
    (letter,) = await scene.db.fetch("select * from postmill.dead_letters")
    assert (letter["msg_id"], letter["attempts"], letter["error_type"]) == (odd, 2, "SettlementRefused")
    assert says in letter["reason"]
    assert [fields["msg_id"] for fields in refused] == [odd, odd]
    archived = await scene.db.fetch("select msg_id from pgmq.a_tasks where msg_id = any ($1)", others)
    assert len(archived) == 3
    assert await scene.runs() == [2, 1, 1, 1]


@pytest.mark.parametrize("refusal", [BROKEN, "security"], ids=["a broken trigger", "row security"])
async def test_an_unclear_refusal_of_one_row_is_told_from_one_of_all(scene: Scene, refusal: str) -> None:
    """Its class of error would fit a missing right as well: that others are accepted shows the difference."""
    async with ordinary_role(scene) as (url, _):
        if refusal == "security":
            refusal = f"{OPEN_ROWS}; alter table pgmq.a_tasks enable row level security"
        await scene.db.execute(refusal)
        async with running(url, handler(retry=TWICE)) as run:
            await scene.send(odd=1)
            await run.until(Event.MESSAGE_CLAIMED)
            await scene.send(3)
            await run.until(Event.MESSAGE_DEAD)
            assert run.events(Event.QUEUE_REFUSING) == []
    assert await scene.account() == Account(completed=3, dead=1, failures={"error": 2})
    assert await scene.runs() == [2, 1, 1, 1]


@pytest.mark.parametrize("outcome", ["complete", "dead"])
async def test_a_row_that_a_trigger_keeps_in_silence_is_put_off(scene: Scene, outcome: str) -> None:
    """The trigger answers null: nothing is deleted, and nothing is said. It was taken for a lost lease."""
    await scene.db.execute(KEEP)
    async with running(scene.url, handler(retry=TWICE)) as run:
        await scene.send(odd=1, outcome=outcome)
        await scene.send(2)
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        await scene.until(f"select exists (select from pgmq.q_tasks where vt > now() + '{PUT_OFF_S / 2} s')")
        await scene.until("select not exists (select from postmill.claims)")
        assert run.events(Event.LEASE_LOST) == []
        assert run.events(Event.SETTLEMENT_REFUSED)[-1]["follows"] == "put off for a day"
    attempts = 2 if outcome == "complete" else 1
    assert await scene.account() == Account(completed=2, queued=1, failures={"error": attempts})
    assert await scene.runs() == [attempts, 1, 1]


async def test_a_message_that_can_not_even_be_buried_is_put_off_loudly(scene: Scene) -> None:
    await scene.db.execute(BURY_NOTHING)
    async with running(scene.url, handler()) as run:
        await scene.send(outcome="dead")
        await run.until(Event.SETTLEMENT_REFUSED)
        (put_off,) = await run.until(Event.MESSAGE_RETRYING)
        assert put_off["in_s"] == PUT_OFF_S
    assert await scene.account() == Account(queued=1, failures={"error": 1})
    assert await scene.runs() == [1]


@pytest.mark.parametrize("refusal", [RECORD_NOTHING, SILENT.format(table="failures")], ids=["loud", "silent"])
async def test_an_attempt_that_can_not_be_recorded_is_the_last(scene: Scene, refusal: str) -> None:
    """Attempts are counted by their records: without them it ran again without a pause, for ever."""
    await scene.db.execute(refusal)
    async with running(scene.url, handler(retry=TWICE)) as run:
        await scene.send(outcome="retry")
        await run.until(Event.MESSAGE_DEAD)
        assert run.events(Event.SETTLEMENT_REFUSED)[-1]["follows"] == "a dead letter"
    assert await scene.account() == Account(dead=1)
    assert UNCOUNTED in await scene.db.fetchval("select reason from postmill.dead_letters")
    assert await scene.runs() == [1]


async def test_a_letter_that_a_trigger_keeps_out_in_silence_loses_no_message(scene: Scene) -> None:
    """The trigger answers null: the message was deleted, and stood nowhere."""
    await scene.db.execute(SILENT.format(table="dead_letters"))
    async with running(scene.url, handler()) as run:
        await scene.send(outcome="dead")
        (put_off,) = await run.until(Event.MESSAGE_RETRYING)
        assert put_off["in_s"] == PUT_OFF_S
        assert "a trigger keeps them out" in run.events(Event.SETTLEMENT_REFUSED)[0]["reason"]
    assert await scene.account() == Account(queued=1, failures={"error": 1})


@pytest.mark.parametrize(
    "what",
    [
        "raise 'x' using errcode = 'serialization_failure'",
        "raise 'x' using errcode = 'disk_full'",
        "perform pg_terminate_backend(pg_backend_pid())",
        "raise 'x' using errcode = 'query_canceled'",
    ],
    ids=["in conflict", "too large", "deadly", "too slow"],
)
async def test_a_row_that_meets_what_would_pass_by_itself_holds_up_no_other(
    scene: Scene, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batch was sent again and again as a whole, for ever: no outcome of the worker was written."""
    monkeypatch.setattr(refusals, "LONGEST_WAIT_S", 0.05)
    monkeypatch.setattr(refusals, "FIRST_WAIT_S", 0.01)
    await scene.db.execute(MEETS.format(what=what))
    async with running(scene.url, handler("batch", batch=4, retry=Retry.none)) as run:
        await scene.db.execute("select postmill.pause('tasks')")
        await run.until(Event.QUEUE_PAUSED)
        odd, *_ = [*await scene.send(odd=1), *await scene.send(3)]
        await scene.db.execute("select postmill.resume('tasks')")
        await run.until(Event.MESSAGE_COMPLETED, count=3)
        assert run.events(Event.MESSAGE_DEAD) == []  # what passes by itself is given time
        await run.until(Event.MESSAGE_DEAD)
        assert run.events(Event.LEASE_LOST) == []
    assert await scene.account() == Account(completed=3, dead=1, failures={"error": 1})
    assert await scene.db.fetchval("select msg_id from postmill.dead_letters") == odd
    assert await scene.runs() == [1, 1, 1, 1]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
@pytest.mark.parametrize("end", [ValueError, Dead])
async def test_an_error_in_characters_that_the_database_lacks(
    shared_server: Server, encoding: str, end: type[Exception]
) -> None:
    """The text of the error can't be stored: the record says the same in characters that can."""

    async def fail(payload: dict[str, Any]) -> None:
        raise end("a \U0001f600")

    async with encoded(shared_server, encoding) as scene:
        async with running(scene.url, handler(fail, retry=TWICE)) as run:
            await scene.send()
            await run.until(Event.MESSAGE_DEAD)
            assert run.events(Event.LEASE_LOST, Event.WORKER_FAILED) == []
        reason = await scene.db.fetchval("select reason from postmill.dead_letters")
        failures = 1 if end is Dead else 2
        assert await scene.account() == Account(dead=1, failures={"error": failures})
    assert ("\\U0001f600" if encoding == "LATIN1" else "\U0001f600") in reason


@asynccontextmanager
async def _without_right(scene: Scene, role: str) -> AsyncIterator[None]:
    await scene.db.execute(f"revoke insert on pgmq.a_tasks from {role}")
    yield
    await scene.db.execute(f"grant insert on pgmq.a_tasks to {role}")


@asynccontextmanager
async def _under_row_security(scene: Scene, _role: str) -> AsyncIterator[None]:
    await scene.db.execute(f"{SHUT_ROWS}; alter table pgmq.a_tasks enable row level security")
    yield
    await scene.db.execute("alter table pgmq.a_tasks disable row level security")


@asynccontextmanager
async def _without_archive(scene: Scene, _role: str) -> AsyncIterator[None]:
    await scene.db.execute("alter table pgmq.a_tasks rename to elsewhere")
    yield
    await scene.db.execute("alter table pgmq.elsewhere rename to a_tasks")


@asynccontextmanager
async def _locked_away(scene: Scene, _role: str) -> AsyncIterator[None]:
    async with scene.locked("pgmq.a_tasks"):
        yield


@asynccontextmanager
async def _without_partition(scene: Scene, role: str) -> AsyncIterator[None]:
    """The archive is partitioned, and none was made in time for what comes now."""
    await scene.db.execute(
        """create table pgmq.parted (like pgmq.a_tasks including defaults) partition by range (archived_at);
        create table pgmq.a_ago partition of pgmq.parted for values from ('2020-01-01') to ('2021-01-01');
        alter table pgmq.a_tasks rename to a_late; alter table pgmq.parted rename to a_tasks;"""
        f"grant all on pgmq.a_tasks, pgmq.a_ago to {role}"
    )
    yield
    await scene.db.execute("alter table pgmq.a_tasks attach partition pgmq.a_late default")


@asynccontextmanager
async def _with_a_column_of_its_own(scene: Scene, _role: str) -> AsyncIterator[None]:
    await scene.db.execute("alter table pgmq.a_tasks add tenant text")
    await scene.db.execute(
        "update pgmq.a_tasks set tenant = ''; alter table pgmq.a_tasks alter tenant set not null"
    )
    yield
    await scene.db.execute("alter table pgmq.a_tasks alter tenant set default ''")


@pytest.mark.parametrize(
    "trouble",
    [
        _without_right,
        _under_row_security,
        _without_archive,
        _locked_away,
        _without_partition,
        _with_a_column_of_its_own,
    ],
)
async def test_what_every_row_meets_is_an_outage_of_the_queue(scene: Scene, trouble: Any) -> None:
    """Outcomes are kept and no more is claimed, said once; when it is mended, each message has run once."""
    async with ordinary_role(scene) as (url, role), running(url, handler(retry=TWICE)) as run:
        await scene.send()
        await run.until(Event.MESSAGE_COMPLETED)
        async with trouble(scene, role):
            await scene.send(3)
            await run.until(Event.QUEUE_REFUSING)
            held = len(run.events(Event.MESSAGE_CLAIMED))
            await scene.send(3)
            while run.worker.settler.pending < held - 1 or run.engine.running:  # noqa: ASYNC110 - not said
                await asyncio.sleep(0.01)
            assert run.worker.dispatcher.wanted() == 0
        await run.until(Event.MESSAGE_COMPLETED, count=7)
        assert len(run.events(Event.QUEUE_REFUSING)) == len(run.events(Event.QUEUE_ACCEPTING)) == 1
        assert run.events(Event.SETTLEMENT_REFUSED, Event.MESSAGE_RETRYING, Event.LEASE_LOST) == []
    assert await scene.account() == Account(completed=7)
    assert await scene.runs() == [1] * 7


@pytest.mark.parametrize("trouble", [_without_right, _without_archive, _without_partition])
async def test_a_transaction_that_the_queue_refuses_is_no_failed_attempt(
    scene: Scene, trouble: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler's own transaction completes the message; without a right each try was one attempt less."""
    monkeypatch.setattr(verdicts, "REFUSED_S", 0.05)
    async with (
        ordinary_role(scene) as (url, role),
        running(url, handler("transaction", retry=Retry.none)) as run,
    ):
        async with trouble(scene, role):
            await scene.send()
            await run.until(Event.SETTLEMENT_REFUSED, count=3)
        await run.until(Event.MESSAGE_COMPLETED)
    assert await scene.account() == Account(completed=1)
    assert await scene.db.fetchval("select count(*) from effects") == 1


async def test_a_locked_row_holds_up_no_other(scene: Scene) -> None:
    """Somebody looks at one message in a transaction that they forgot: the others' outcomes are written."""
    stranger = await asyncpg.connect(scene.url)
    async with running(scene.url, handler("batch", batch=3)) as run:
        await scene.db.execute("select postmill.pause('tasks')")
        await run.until(Event.QUEUE_PAUSED)
        await scene.shut_gate("runs")
        first, *_ = await scene.send(3)
        await scene.db.execute("select postmill.resume('tasks')")
        await scene.at_the_gate()
        forgotten = stranger.transaction()
        await forgotten.start()
        await stranger.execute("select from pgmq.q_tasks where msg_id = $1 for update", first)
        await scene.open_gate()
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        assert run.events(Event.QUEUE_REFUSING) == []
        await forgotten.rollback()
        await run.until(Event.MESSAGE_COMPLETED, count=3)
    await stranger.close()
    assert await scene.account() == Account(completed=3)
    assert await scene.runs() == [1, 1, 1]
