"""What queues have done and how full they were: written once, made coarser with age, read without gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from postmill.sql.catalog import statement
from tests.sql.asking import Database, bury, column, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

WORKER = "00000000-0000-0000-0000-000000000001"
MINUTES = """
insert into postmill.minutes (minute, queue_name, slot, started, completed, failed, dead, ran_ms, waited_ms)
select minute, $1, slot, 1, 1, 1, 1, 10, 100
from generate_series(date_trunc('hour', postmill.now(), 'UTC') - $2::interval,
                     date_trunc('minute', postmill.now()), interval '1 minute') as minute,
     generate_series(0, 3) as slot
"""
SUMS = """
select sum(started) as started, sum(completed) as completed, sum(failed) as failed, sum(dead) as dead,
       sum(ran_ms) as ran_ms, sum(waited_ms) as waited_ms from postmill.minutes
"""


def announce(db: Database, queue: str) -> None:
    db.execute(
        b"insert into postmill.workers (worker_id, queue_name, function_name, hostname, pid, version,"
        b" max_concurrent) values ($1, $2, 'f', 'h', 1, '1', 1)",
        [WORKER, queue],
    )


def add(db: Database, queue: str, number: int, completed: int, slot: int = 0) -> bool:
    """What a worker sends; whether it is written."""
    given = [WORKER, number, queue, slot, completed, completed, 0, 0, 5, 7]
    found = db.execute(statement("worker_minutes").encode(), given).fetchone()
    assert found is not None
    return bool(found["written"])


def prune(db: Database) -> None:
    """One round over every queue, now."""
    db.execute(b"update postmill.prunings set due_at = '-infinity'")
    while rows(db, "select * from postmill.prune()"):
        pass


def shift(db: Database, by: str) -> None:
    db.execute(b"select set_config('postmill.clock_shift', $1, false)", [by])


def completed(db: Database) -> int | None:
    found: int | None = value(db, "select sum(completed)::integer from postmill.minutes")
    return found


def test_sums_of_one_minute_are_added(db: Database, queue: str) -> None:
    announce(db, queue)
    with db.transaction():  # the minute may not end in between
        assert add(db, queue, 1, 2)
        assert add(db, queue, 2, 3)
        assert add(db, queue, 3, 4, slot=1)
    stands = rows(db, "select slot, completed, ran_ms, waited_ms from postmill.minutes order by slot")
    assert [tuple(each.values()) for each in stands] == [(0, 5, 10, 14), (1, 4, 5, 7)]


def test_what_is_sent_again_counts_once(db: Database, queue: str) -> None:
    announce(db, queue)
    assert add(db, queue, 1, 2)
    assert add(db, queue, 1, 2)
    assert completed(db) == 2
    assert add(db, queue, 2, 2)  # the control: under another number the same counts
    assert completed(db) == 4


def test_sums_wait_for_a_worker_that_is_not_on_record(db: Database, queue: str) -> None:
    assert not add(db, queue, 1, 2)
    announce(db, queue)
    assert add(db, queue, 1, 2)
    assert completed(db) == 2


def test_sums_do_not_wait_for_a_lock_on_the_worker(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """The first connection still executes what the second one sends again: the later adds nothing."""
    announce(db, queue)
    other = connect()
    with other.transaction():
        assert add(other, queue, 1, 2)
        db.execute(b"set lock_timeout = '1s'")
        assert not add(db, queue, 1, 2)
    assert add(db, queue, 1, 2)
    assert completed(db) == 2


def test_hours_take_the_place_of_minutes_after_six_hours(db: Database, queue: str) -> None:
    db.execute(MINUTES.encode(), [queue, "9 hours"])
    before = row(db, SUMS)
    prune(db)
    assert row(db, SUMS) == before
    ends = "date_trunc('hour', postmill.now() - interval '6 hours', 'UTC')"
    old = rows(db, f"select minute, slot, completed from postmill.minutes where minute < {ends} order by 1")
    assert [(each["slot"], each["completed"]) for each in old] == [(0, 240)] * 3
    assert value(
        db, f"select count(*) = 4 * count(distinct minute) from postmill.minutes where minute >= {ends}"
    )


def test_a_second_fold_changes_nothing_and_a_long_past_is_folded_in_parts(db: Database, queue: str) -> None:
    """No call takes more than six hours' worth: a fleet that stood still has days of it."""
    db.execute(MINUTES.encode(), [queue, "20 hours"])
    before = row(db, SUMS)
    counts = []
    for _ in range(4):
        prune(db)
        assert row(db, SUMS) == before
        counts.append(value(db, "select count(*) from postmill.minutes"))
    assert counts[0] - counts[1] == 6 * (240 - 1)
    assert counts[2] == counts[3]
    folded = "date_trunc('hour', now(), 'UTC') - interval '6 hours'"
    assert value(db, f"select count(*) from postmill.minutes where minute < {folded}") == 14


def test_sums_that_come_late_join_their_hour(db: Database, queue: str) -> None:
    """Pruning stood still for a day; a fold that was cut goes on where it was."""
    db.execute(MINUTES.encode(), [queue, "8 hours"])
    prune(db)
    before = row(db, SUMS)
    db.execute(b"update postmill.prunings set folded_to = '-infinity'")
    prune(db)
    assert row(db, SUMS) == before


def test_history_goes_after_thirty_days(db: Database, queue: str) -> None:
    announce(db, queue)
    add(db, queue, 1, 2)
    db.execute(b"select pgmq.send($1, '{}')", [queue])
    prune(db)
    shift(db, "29 days")
    prune(db)
    assert completed(db) == 2
    shift(db, "31 days")
    prune(db)
    assert completed(db) is None
    assert value(db, "select count(*) from postmill.queue_samples where at < now() + interval '1 day'") == 0


def test_a_look_a_minute_says_how_full_a_queue_is(db: Database, queue: str) -> None:
    db.execute(b"select pgmq.send($1, '{}'), pgmq.send($1, '{}', 60)", [queue])
    bury(db, queue, 99)
    prune(db)
    prune(db)
    (seen,) = rows(
        db, "select ready, running, retrying, scheduled, waiting, dead from postmill.queue_samples"
    )
    assert tuple(seen.values()) == (1, 0, 0, 1, 0, 1)
    shift(db, "1 minute")
    prune(db)
    assert value(db, "select count(*) from postmill.queue_samples") == 2


def test_that_a_queue_is_empty_is_noted_once(db: Database, queue: str) -> None:
    """Ten thousand idle queues have no rows."""
    prune(db)
    assert value(db, "select count(*) from postmill.queue_samples") == 0
    db.execute(b"select pgmq.send($1, '{}')", [queue])
    for minute in range(4):
        shift(db, f"{minute} minutes")
        prune(db)
        db.execute(b"select pgmq.purge_queue($1)", [queue])
    assert column(db, "select ready from postmill.queue_samples order by at") == [1, 0]
    depth = column(db, "select ready from postmill.queue_history($1, '5 minutes')", queue)
    assert depth[-4:] == [1, 0, 0, 0]
    assert depth[0] is None  # nobody looked


def test_of_old_looks_the_last_of_each_hour_is_left(db: Database, queue: str) -> None:
    db.execute(
        b"insert into postmill.queue_samples select $1, at, extract(minute from at)::integer, 1, 0, 0, 0, 0"
        b" from generate_series(date_trunc('hour', now(), 'UTC') - interval '9 hours', now(), '1 minute')"
        b" as at",
        [queue],
    )
    prune(db)
    ends = "date_trunc('hour', postmill.now() - interval '6 hours', 'UTC')"
    assert column(db, f"select ready from postmill.queue_samples where at < {ends} order by at") == [59] * 3


def test_a_queue_that_cannot_be_looked_at_is_pruned_all_the_same(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    announce(db, queue)
    other = connect()
    with other.transaction():
        other.execute(b'lock table pgmq."q_re-size"')
        prune(db)
    assert value(db, "select due_at > now() from postmill.prunings where queue_name = $1", queue)
    prune(db)


@pytest.mark.parametrize(
    ("span", "count", "unit"),
    [("1 hour", 60, "minute"), ("6 hours", 360, "minute"), ("1 day", 24, "hour"), ("1 year", 720, "hour")],
)
def test_a_history_has_no_gaps(db: Database, queue: str, span: str, count: int, unit: str) -> None:
    with db.transaction():
        found = rows(db, "select * from postmill.queue_history($1, $2::text::interval)", queue, span)
        now = value(db, "select date_trunc($1, postmill.now(), 'UTC')", unit)
    assert len(found) == count
    assert found[-1]["at"] == now
    assert {each["completed"] for each in found} == {0}


def test_hours_of_a_history_are_whole_wherever_the_fold_stands(db: Database, queue: str) -> None:
    db.execute(MINUTES.encode(), [queue, "9 hours"])
    before = column(db, "select completed from postmill.queue_history($1, '1 day')", queue)
    assert before[-10:-1] == [240] * 9
    prune(db)
    assert column(db, "select completed from postmill.queue_history($1, '1 day')", queue) == before


def test_a_history_of_nothing_is_refused(db: Database) -> None:
    with pytest.raises(psycopg.Error) as refused:
        db.execute(b"select postmill.queue_history('nope')")
    assert refused.value.sqlstate == "PM001"


def test_throughput_is_of_the_last_minutes_and_the_last_hour(db: Database, queue: str) -> None:
    db.execute(MINUTES.encode(), [queue, "2 hours"])
    (found,) = rows(db, "select * from postmill.throughput(array[$1])", queue)
    assert (found["completed"], found["failed"], found["dead"]) == (240, 240, 240)
    assert found["failed_percent"] == 50
    assert found["last_hour"] == [20] * 12
    assert 4 <= found["completed_per_minute"] <= 5


def test_throughput_of_queues_that_did_nothing(db: Database, queue: str) -> None:
    found = rows(db, "select * from postmill.throughput(array['nope', $1])", queue)
    assert [each["queue_name"] for each in found] == ["nope", queue]
    assert found[0]["failed_percent"] is None
    assert found[0]["last_hour"] == [0] * 12
    assert column(db, "select queue_name from postmill.throughput()") == [queue]


def test_a_queue_that_is_made_again_has_no_past(db: Database, queue: str) -> None:
    db.execute(MINUTES.encode(), [queue, "1 hour"])
    db.execute(b"select pgmq.send($1, '{}')", [queue])
    prune(db)
    db.execute(b"select postmill.drop_queue($1, force => true)", [queue])
    assert value(db, "select count(*) from postmill.minutes") == 0
    assert value(db, "select count(*) from postmill.queue_samples") == 0
