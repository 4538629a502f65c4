"""enable_wakeups, disable_wakeups and the trigger function wake."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from postmill.sql.catalog import statement
from tests.sql.asking import Database, heard, refused, rows

if TYPE_CHECKING:
    from collections.abc import Callable


WORKER = "11111111-1111-1111-1111-111111111111"
CHANNEL = f"worker.{WORKER}"


@pytest.fixture
def listening(db: Database, queue: str, connect: Callable[[], Database]) -> Database:
    """A worker's connection that waits for the queue."""
    wait(db, WORKER)
    session = connect()
    session.execute(f'listen "postmill.{CHANNEL}"'.encode())
    return session


def wait(db: Database, worker_id: str, silent: str = "0 s") -> None:
    """A worker wants to be called; its last sign of life was so long ago."""
    db.execute(
        b"insert into postmill.workers (worker_id, queue_name, function_name, hostname, pid, version,"
        b" max_concurrent, last_heartbeat_at)"
        b" values ($1, 're-size', 'f', 'here', 1, '1', 1, clock_timestamp() - $2::interval)",
        [worker_id, silent],
    )
    db.execute(b"insert into postmill.idle_workers values ('re-size', $1)", [worker_id])


def test_a_message_wakes_who_listens(db: Database, listening: Database) -> None:
    db.execute(b"select pgmq.send('re-size', '1')")
    assert heard(listening, CHANNEL) == ["claim"]


def test_many_rows_wake_once(db: Database, listening: Database) -> None:
    with db.transaction():
        db.execute(b"select postmill.send_batch('re-size', array_fill('1'::jsonb, array[50]))")
        with db.cursor().copy(b'copy pgmq."q_re-size" (vt, message) from stdin') as copy:
            for _ in range(50):
                copy.write_row(("now", "1"))
    # One a statement; equal notifications of a transaction are one.
    assert heard(listening, CHANNEL) == ["claim"]


def test_of_many_one_is_called_and_one_stands_by(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    workers = [f"{number:032x}" for number in range(10)]
    session = connect()
    for worker in workers:
        wait(db, worker)
        session.execute(f'listen "postmill.worker.{UUID(worker)}"'.encode())
    session.execute(b"listen done")
    with db.transaction():
        for _ in range(3):
            db.execute(b"select pgmq.send('re-size', '1')")
    db.execute(b"notify done")
    heard_by_all = takewhile(lambda notice: notice.channel != "done", session.notifies())
    assert sorted(notice.payload for notice in heard_by_all) == ["claim", "standby"]


def test_who_is_gone_is_not_called(db: Database, listening: Database) -> None:
    db.execute(b"update postmill.workers set stopped_at = clock_timestamp()")
    wait(db, "22222222-2222-2222-2222-222222222222", silent="7 s")
    db.execute(b"select pgmq.send('re-size', '1')")
    assert heard(listening, CHANNEL) == []


def test_who_leaves_calls_another(db: Database, listening: Database) -> None:
    leaving = UUID(int=2)
    wait(db, str(leaving))
    db.execute(statement("idle_worker_remove").encode(), ["re-size", leaving])
    assert heard(listening, CHANNEL) == ["claim"]


@pytest.mark.parametrize(
    ("inserted", "wakes"),
    [
        ("select clock_timestamp(), '1' where false", False),
        ("select clock_timestamp() + interval '6 s', '1' from generate_series(1, 9)", False),
        ("values ('9999-01-01', '1'), ('infinity', '1')", False),
        ("select clock_timestamp() + interval '1 s', '1'", True),
        ("values ('9999-01-01', '1'), (clock_timestamp(), '1'), ('9999-01-01', '1')", True),
        ("values ('-infinity', '1')", True),
    ],
)
def test_wakes_only_for_what_the_worker_would_find_too_late(
    db: Database, listening: Database, inserted: str, wakes: bool
) -> None:
    # The worker looks again within 5 s, and then learns when the next message falls due.
    db.execute(f'insert into pgmq."q_re-size" (vt, message) {inserted}'.encode())
    assert heard(listening, CHANNEL) == ["claim"] * wakes


def test_a_worker_that_looks_seldom_is_woken_for_what_is_due_before(
    db: Database, listening: Database
) -> None:
    db.execute(b"update postmill.idle_workers set max_poll_s = 30")
    db.execute(b"select pgmq.send('re-size', '1', 20)")
    assert heard(listening, CHANNEL) == ["claim"]
    db.execute(b"select pgmq.send('re-size', '1', 40)")
    assert heard(listening, CHANNEL) == []


def test_copying_no_rows_or_parked_ones_is_silent(db: Database, listening: Database) -> None:
    for moment in ("", "9999-01-01", "now"):
        with db.cursor().copy(b'copy pgmq."q_re-size" (vt, message) from stdin') as copy:
            for _ in range(bool(moment)):
                copy.write_row((moment, "1"))
        assert heard(listening, CHANNEL) == ["claim"] * (moment == "now")


def test_a_partitioned_queue_wakes_too(db: Database, listening: Database) -> None:
    name, key = b'pgmq."q_re-size"', b"generated always as identity"
    db.execute(b"drop table " + name)
    db.execute(
        b"create table " + name + b" (msg_id bigint " + key + b", read_ct integer not null default 0,"
        b" enqueued_at timestamptz not null default now(), last_read_at timestamptz, vt timestamptz not null,"
        b" message jsonb, headers jsonb) partition by range (msg_id)"
    )
    for low, high in ((1, 3), (3, 1000)):
        db.execute(
            f'create table pgmq."q_re-size_{low}" partition of pgmq."q_re-size"'
            f" for values from ({low}) to ({high})".encode()
        )
    db.execute(b"select postmill.enable_wakeups('re-size')")
    db.execute(b"select pgmq.send_batch('re-size', array_fill('1'::jsonb, array[4]), 60)")
    assert heard(listening, CHANNEL) == []
    db.execute(b"select pgmq.send_batch('re-size', array_fill('1'::jsonb, array[4]))")
    assert heard(listening, CHANNEL) == ["claim"]


def test_a_trigger_of_an_earlier_release_goes_on_waking_until_it_is_replaced(
    db: Database, listening: Database
) -> None:
    # It passes no rows: reading them would fail every send of every client.
    db.execute(
        b'create or replace trigger postmill_wake after insert on pgmq."q_re-size" for each statement'
        b" execute function postmill.wake('re-size')"
    )
    db.execute(b"select pgmq.send('re-size', '1')")
    db.execute(b"select pgmq.send('re-size', '1', 60)")
    assert heard(listening, CHANNEL) == ["claim", "claim"]
    for _ in range(2):
        db.execute(b"select postmill.enable_wakeups('re-size')")
    db.execute(b"select pgmq.send('re-size', '1', 60)")
    assert heard(listening, CHANNEL) == []
    db.execute(b"select pgmq.send('re-size', '1')")
    assert heard(listening, CHANNEL) == ["claim"]


def test_silent_when_nobody_waits(db: Database, listening: Database) -> None:
    db.execute(b"delete from postmill.idle_workers")
    db.execute(b"select pgmq.send('re-size', '1')")
    assert heard(listening, CHANNEL) == []


def test_silent_for_a_send_that_is_rolled_back(db: Database, listening: Database) -> None:
    with db.transaction(force_rollback=True):
        db.execute(b"select pgmq.send('re-size', '1')")
    assert heard(listening, CHANNEL) == []


def test_silent_for_claims_and_completions(db: Database, listening: Database) -> None:
    db.execute(b"select pgmq.send('re-size', '1')")
    assert heard(listening, CHANNEL) == ["claim"]
    db.execute(b"select pgmq.read('re-size', 30, 1)")
    db.execute(b"select pgmq.archive('re-size', 1)")
    assert heard(listening, CHANNEL) == []


def test_a_stranger_who_may_only_insert_wakes_too(
    db: Database, listening: Database, stranger: Database
) -> None:
    # The trigger reads a private table: as the stranger, every send of another client would fail.
    db.execute(b"grant usage on schema pgmq to stranger")
    db.execute(b'grant insert on pgmq."q_re-size" to stranger')
    stranger.execute(b"insert into pgmq.\"q_re-size\" (vt, message) values (now(), '1')")
    assert heard(listening, CHANNEL) == ["claim"]


def test_disable_takes_the_trigger_off_and_enable_puts_it_back(db: Database, queue: str) -> None:
    triggers = "select tgname from pg_trigger where tgrelid = 'pgmq.\"q_re-size\"'::regclass"
    db.execute(b"select postmill.disable_wakeups('re-size')")
    db.execute(b"select postmill.disable_wakeups('re-size')")
    assert rows(db, triggers) == []
    db.execute(b"select postmill.enable_wakeups('re-size')")
    db.execute(b"select postmill.enable_wakeups('re-size')")
    assert len(rows(db, triggers)) == 1


def test_the_owner_of_a_foreign_queue_may_opt_in(db: Database, foreign: str) -> None:
    db.execute(b"select postmill.enable_wakeups('theirs')")
    assert rows(db, "select from pg_trigger where tgrelid = 'pgmq.q_theirs'::regclass")


def test_nobody_else_may(db: Database, foreign: str, stranger: Database) -> None:
    db.execute(b"grant usage on schema pgmq, postmill to stranger")
    db.execute(b"grant execute on all functions in schema postmill to stranger")
    db.execute(b"grant all on pgmq.q_theirs, postmill.queues to stranger")
    with refused("PM005", "is not ours"):
        stranger.execute(b"select postmill.enable_wakeups('theirs')")


@pytest.mark.parametrize("function", ["enable_wakeups", "disable_wakeups"])
def test_refuses_a_queue_that_is_not_there(db: Database, function: str) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(f"select postmill.{function}('nope')".encode())
