"""Errors are counted by the hour: each attempt once, and what is counted outlives the attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.db.reads import errors
from tests.sql.asking import Database, column, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = "select * from postmill._count_errors('re-size', 500, $1)"


def fail(db: Database, times: int = 1, *, ago: str = "5 minutes", error_type: str = "ValueError") -> str:
    """So many attempts have failed so; returns the fingerprint."""
    found: str = value(
        db,
        "with made as ("
        "insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, failed_at)"
        " select 're-size', n, 1, 'error', $2, now() - $3::interval from generate_series(1, $1::integer) as n"
        " returning fingerprint) select max(fingerprint) from made",
        times,
        error_type,
        ago,
    )
    return found


def prune(db: Database) -> None:
    """One round over every queue, now."""
    db.execute(b"update postmill.prunings set due_at = '-infinity'")
    while rows(db, "select * from postmill.prune()"):
        pass


def in_all(db: Database, error: str, span: str = "7 days") -> int:
    found: int = value(db, "select sum(failures)::bigint from postmill.error_history($1, $2)", error, span)
    return found


def test_pruning_counts_each_attempt_once(db: Database, queue: str) -> None:
    error = fail(db, 1200)
    prune(db)
    assert value(db, "select sum(failures)::integer from postmill.error_hours") == 1200
    prune(db)
    fail(db, 3)
    prune(db)
    assert value(db, "select sum(failures)::integer from postmill.error_hours") == 1203
    assert in_all(db, error) == 1203


def test_what_is_not_counted_yet_is_in_the_history(db: Database, queue: str) -> None:
    error = fail(db, 4)
    prune(db)
    fail(db, 2, ago="0 seconds")
    prune(db)
    assert value(db, "select sum(failures)::integer from postmill.error_hours") == 4
    assert in_all(db, error) == 6


def test_an_attempt_of_the_last_minute_holds_back_those_after_it(db: Database, queue: str) -> None:
    """Else one with a lower id, whose transaction ends later, would never be counted."""
    fail(db, 2)
    last = value(db, "select max(failure_id) from postmill.failures")
    fail(db, ago="0 seconds")
    fail(db, 5)
    assert row(db, COUNT, 0) == {"start": last, "more": False}
    assert row(db, COUNT, last) == {"start": last, "more": False}
    assert value(db, "select sum(failures)::integer from postmill.error_hours") == 2


def test_one_whose_transaction_stays_open_is_counted_once_it_has_ended(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """It had a lower id than those that were counted meanwhile, and was in no hour ever."""
    before = fail(db, 2, error_type="KeyError")
    other = connect()
    with other.transaction():
        error = fail(other)
        fail(db, 3)
        prune(db)
        assert column(db, "select failures from postmill.error_hours where fingerprint = $1", before) == [2]
        assert column(db, "select failures from postmill.error_hours where fingerprint = $1", error) == []
        assert in_all(db, error) == 3
    prune(db)
    assert column(db, "select failures from postmill.error_hours where fingerprint = $1", error) == [4]
    assert in_all(db, error) == 4


def test_none_waits_longer_than_an_hour_for_an_open_transaction(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    other = connect()
    with other.transaction():
        fail(other)
        error = fail(db, 3, ago="61 minutes")
        prune(db)
        assert value(db, "select sum(failures)::integer from postmill.error_hours") == 3
        assert in_all(db, error) == 3


def test_the_history_outlives_the_failures(db: Database, queue: str) -> None:
    error = fail(db, 7, ago="9 days")
    prune(db)
    assert value(db, "select count(*) from postmill.failures") == 0
    assert in_all(db, error, "30 days") == 7
    assert in_all(db, error, "7 days") == 0


def test_hours_are_told_without_gaps(db: Database, queue: str) -> None:
    error = fail(db, ago="3 hours")
    prune(db)
    history = rows(db, "select at, failures from postmill.error_history($1, '6 hours')", error)
    assert [each["failures"] for each in history] == [0, 0, 1, 0, 0, 0]
    assert history[-1]["at"] == value(db, "select date_trunc('hour', now(), 'UTC')")
    assert len(rows(db, "select from postmill.error_history('unknown', '400 days')")) == 30 * 24


def test_an_error_is_shown_with_its_days(db: Database, queue: str) -> None:
    error = fail(db, 2, ago="10 days")
    prune(db)
    fail(db)
    assert column(db, "select failure_id from postmill.failures") != []
    days = errors.one(db, error)["last_30_days"]
    assert days == [*[0] * 19, 2, *[0] * 9, 1]


def test_hours_of_30_days_ago_go(db: Database, queue: str) -> None:
    fail(db, 2)
    prune(db)
    db.execute(b"update postmill.error_hours set hour = now() - interval '31 days'")
    prune(db)
    assert value(db, "select count(*) from postmill.error_hours") == 0


def test_an_hour_has_a_thousand_errors_at_most(db: Database, queue: str) -> None:
    """Messages that differ in each attempt would fill the table. Known errors go on being counted."""
    known = fail(db)
    prune(db)
    db.execute(
        b"insert into postmill.error_hours select queue_name, hour, 'made up ' || n, 1"
        b" from postmill.error_hours, generate_series(1, 999) as n"
    )
    fail(db, 2)
    fail(db, error_type="KeyError")
    prune(db)
    assert value(db, "select count(*) from postmill.error_hours") == 1000
    assert in_all(db, known) == 3


def test_a_queue_that_is_made_again_counts_anew(db: Database, queue: str) -> None:
    error = fail(db, 3)
    prune(db)
    db.execute(b"select postmill.drop_queue('re-size')")
    assert column(db, "select fingerprint from postmill.error_hours") == []
    db.execute(b"select postmill.create_queue('re-size')")
    prune(db)
    assert in_all(db, error) == value(db, "select count(*) from postmill.failures")
