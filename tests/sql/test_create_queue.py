from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.sql.asking import Database, bury, claim, column, refused, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable


def test_makes_a_pgmq_queue_with_our_settings_and_the_trigger(db: Database) -> None:
    db.execute(b"select postmill.create_queue('emails')")

    assert column(db, "select queue_name from pgmq.list_queues()") == ["emails"]
    assert value(db, "select owned from postmill.queues where queue_name = 'emails'")
    assert column(db, "select tgname from pg_trigger where tgrelid = 'pgmq.q_emails'::regclass") == [
        "postmill_wake"
    ]
    assert "autovacuum_vacuum_threshold=1000" in value(
        db, "select reloptions from pg_class where oid = 'pgmq.q_emails'::regclass"
    )


def test_a_second_time_changes_nothing(db: Database, queue: str) -> None:
    before = row(db, "select * from postmill.queues")
    db.execute(b"select postmill.create_queue('re-size')")
    assert row(db, "select * from postmill.queues") == before


def test_from_many_sessions_at_once(db: Database, connect: Callable[[], Database]) -> None:
    sessions = [connect() for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda session: session.execute(b"select postmill.create_queue('race')"), sessions))
    assert rows(db, "select queue_name, owned from postmill.queues") == [
        {"queue_name": "race", "owned": True}
    ]


def test_a_queue_of_another_client_is_written_down_and_left_as_it_is(db: Database, foreign: str) -> None:
    shape = "select reloptions, relhastriggers from pg_class where oid = 'pgmq.q_theirs'::regclass"
    before = row(db, shape)

    db.execute(b"select postmill.create_queue('theirs')")

    assert row(db, shape) == before
    assert value(db, "select owned from postmill.queues") is False


@pytest.mark.parametrize("name", ["", "Emails", "-x", "a.b", "a b", "x" * 48, "a;drop", "ü", "a\nb", "a\n"])
def test_refuses_a_name_outside_the_rule(db: Database, name: str) -> None:
    with refused("PM002", "is not a queue name"):
        db.execute(b"select postmill.create_queue($1)", [name])


def test_refuses_null(db: Database) -> None:
    with refused("PM002", "null is not a queue name"):
        db.execute(b"select postmill.create_queue(null)")


def test_refuses_two_hyphens_which_pgmq_does_not_take(db: Database) -> None:
    with refused("PM002", "pgmq accepts"):
        db.execute(b"select postmill.create_queue('a--b')")


def test_takes_the_longest_name_of_the_rule(db: Database) -> None:
    name = "x" * 47
    db.execute(b"select postmill.create_queue($1)", [name])
    assert value(db, "select postmill.send($1, '1')", name) == 1


@pytest.mark.parametrize(("first", "second"), [("x", "x_msg_id_seq"), ("x_msg_id_seq", "x")])
def test_refuses_a_name_whose_table_or_sequence_is_another_queues(
    db: Database, first: str, second: str
) -> None:
    # pgmq says "create table if not exists" and would go on without a table of its own.
    db.execute(b"select postmill.create_queue($1)", [first])
    with refused("PM005", "can't be created"):
        db.execute(b"select postmill.create_queue($1)", [second])


def test_refuses_the_lower_case_twin_of_a_foreign_queue(db: Database) -> None:
    # pgmq lower-cases tables but not names: both queues would be one table.
    db.execute(b"select pgmq.create('MyQueue')")
    with refused("PM005", "can't be created"):
        db.execute(b"select postmill.create_queue('myqueue')")


def test_a_queue_dropped_by_others_and_made_again_starts_clean(db: Database, queue: str) -> None:
    # Its ids start at 1 again: an old cancel request or claim would hit the new message.
    db.execute(b"select postmill.send('re-size', '1')")
    claim(db, queue, 1)
    db.execute(b"select postmill.cancel('re-size', 1)")
    letter = bury(db, queue, 7)
    db.execute(b"select pgmq.drop_queue('re-size')")

    db.execute(b"select postmill.create_queue('re-size')")

    assert rows(db, "select from postmill.cancellations") == []
    assert rows(db, "select from postmill.claims") == []
    assert column(db, "select letter_id from postmill.dead") == [letter]
