"""Moments and lengths of time that never come or end: refused where they are given, borne where they are
read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.sql.asking import row, rows

if TYPE_CHECKING:
    from tests.sql.asking import Database

FAR = ["infinity", "200000 years"]


@pytest.mark.parametrize("length", FAR)
@pytest.mark.parametrize(
    "asked",
    [
        "postmill.send($1, '{}', delay => $2::text::interval)",
        "postmill.send_batch($1, array['{}'::jsonb], delay => $2::text::interval)",
        "postmill.set_retention($1, $2::text::interval)",
    ],
)
def test_lengths_that_do_not_end_are_refused(db: Database, queue: str, asked: str, length: str) -> None:
    if length == "infinity" and db.info.server_version < 170000:
        pytest.skip("no such interval before 17")
    with pytest.raises(psycopg.errors.Error) as raised:
        row(db, f"select {asked}", queue, length)
    assert raised.value.sqlstate == "PM003"


@pytest.mark.parametrize("at", ["infinity", "-infinity", "294000-01-01"])
def test_statistics_of_a_queue_with_such_times(db: Database, queue: str, at: str) -> None:
    rows(
        db,
        'insert into pgmq."q_re-size" (vt, enqueued_at, message)'
        " values ($1::text::timestamptz, $1::text::timestamptz, '1')"
        " returning 1",
        at,
    )
    found = row(db, "select ready, scheduled from postmill.queue_stats($1)", queue)
    assert (found["ready"], found["scheduled"]) == ((1, 0) if at == "-infinity" else (0, 1))


def test_failures_of_a_message_from_the_future_count(db: Database, queue: str) -> None:
    """Else it would be tried for ever: none of its failures is later than it."""
    rows(
        db,
        'insert into pgmq."q_re-size" (vt, enqueued_at, message)'
        " values (now(), 'infinity', '1') returning 1",
    )
    rows(
        db,
        "insert into postmill.failures (queue_name, msg_id, attempt, kind)"
        " values ($1, 1, 1, 'error') returning 1",
        queue,
    )
    assert row(db, "select attempts from postmill.messages($1)", queue) == {"attempts": 1}
