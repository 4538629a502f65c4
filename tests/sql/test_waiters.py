"""Clients that wait for the end of a message: what ended is told to them, and to no others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from postmill.sql.catalog import statement
from tests.sql.asking import Database, bury, claim, column, heard, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

CHANNEL = "waiter.here"


@pytest.fixture
def waiting(db: Database, queue: str, connect: Callable[[], Database]) -> Database:
    """A client's connection that waits for message 1."""
    db.execute(b"select pgmq.send('re-size', '1')")
    wait(db, "re-size", 1)
    session = connect()
    session.execute(f'listen "postmill.{CHANNEL}"'.encode())
    return session


def wait(db: Database, queue: str, *ids: int, channel: str = CHANNEL) -> None:
    db.execute(statement("client_wait").encode(), [[queue] * len(ids), list(ids), f"postmill.{channel}"])


def outcome(db: Database, msg_id: int = 1, queue: str = "re-size") -> tuple[str, Any]:
    """The fate, and the result or the letter's reason."""
    (text,) = column(db, statement("client_outcomes"), [queue], [msg_id])
    _queue, _id, fate, result, letter = json.loads(text)
    return fate, letter["reason"] if letter else result


def test_a_cancelled_message_is_told_to_its_waiter(db: Database, waiting: Database) -> None:
    db.execute(b"select postmill.cancel('re-size', 1)")
    assert heard(waiting, CHANNEL) == ["1 re-size"]
    assert outcome(db) == ("cancelled", None)


def test_other_messages_and_rollbacks_are_not_told(db: Database, waiting: Database) -> None:
    db.execute(b"select pgmq.send('re-size', '2')")
    db.execute(b"select postmill.cancel('re-size', 2)")
    with db.transaction(force_rollback=True):
        db.execute(b"select postmill.cancel('re-size', 1)")
    assert heard(waiting, CHANNEL) == []


def test_a_waiter_that_has_left_is_not_told(db: Database, waiting: Database) -> None:
    wait(db, "re-size", 1)  # again: one row all the same
    db.execute(statement("client_wait_end").encode(), [["re-size"], [1], f"postmill.{CHANNEL}"])
    assert rows(db, "select from postmill.waiters") == []
    db.execute(b"select postmill.cancel('re-size', 1)")
    assert heard(waiting, CHANNEL) == []


def test_the_fates(db: Database, queue: str) -> None:
    for number in range(1, 7):
        db.execute(b"select pgmq.send('re-size', $1::text::jsonb)", [str(number)])
    db.execute(b"insert into postmill.results values ('re-size', 2, '{\"n\": 12345678901234567890}')")
    bury(db, "re-size", 3)
    db.execute(b'delete from pgmq."q_re-size" where msg_id in (2, 3, 6)')
    db.execute(b"select postmill.cancel('re-size', 4)")
    db.execute(b"select pgmq.archive('re-size', 5)")
    assert [outcome(db, number) for number in range(1, 7)] == [
        ("pending", None),
        ("completed", '{"n": 12345678901234567890}'),
        ("dead", "it broke"),
        ("cancelled", None),
        ("archived", None),
        ("unknown", None),
    ]
    assert outcome(db, 99) == ("unknown", None)
    assert outcome(db, 1, "nope") == ("no queue", None)


def test_a_message_that_is_settled_in_two_steps_has_not_ended_between_them(db: Database, queue: str) -> None:
    """A handler's own transaction takes the message away, and its result is written after it."""
    db.execute(b"select pgmq.send_batch('re-size', array_fill('1'::jsonb, array[2]))")
    claim(db, "re-size", 1, 2)
    db.execute(b"select pgmq.archive('re-size', 1)")
    db.execute(b"select pgmq.delete('re-size', 2)")
    assert [outcome(db, 1), outcome(db, 2)] == [("pending", None), ("pending", None)]
    db.execute(b"delete from postmill.claims")
    assert [outcome(db, 1), outcome(db, 2)] == [("archived", None), ("unknown", None)]


def test_what_is_kept_of_an_earlier_queue_of_the_name_is_not_this_messages(
    db: Database, foreign: str
) -> None:
    """Another client has dropped the queue and made it again: the ids have started again."""
    db.execute(b"insert into postmill.results values ('theirs', 1, '1')")
    bury(db, "theirs", 1)
    db.execute(b"select pgmq.send('theirs', '1')")
    assert outcome(db, 1, "theirs")[0] == "pending"
    db.execute(b"select pgmq.archive('theirs', 1)")
    assert outcome(db, 1, "theirs") == ("archived", None)


def test_the_short_way_takes_only_results_that_came_while_the_client_waited(db: Database, queue: str) -> None:
    """One of an earlier queue of the name is older than the wait."""
    db.execute(b"insert into postmill.results values ('re-size', 1, '1'), ('re-size', 3, '3')")
    wait(db, "re-size", 1, 2)
    db.execute(b"insert into postmill.results values ('re-size', 2, '2')")
    told = column(db, statement("client_told"), ["re-size"] * 3, [1, 2, 3], f"postmill.{CHANNEL}")
    assert [json.loads(each) for each in told] == [["re-size", 2, "completed", "2", None]]


def test_an_archive_that_was_taken_away_is_no_error(db: Database, queue: str) -> None:
    db.execute(b'drop table pgmq."a_re-size"')
    assert outcome(db) == ("unknown", None)


def test_a_dropped_queue_forgets_its_waiters(db: Database, waiting: Database) -> None:
    db.execute(b"select postmill.drop_queue('re-size')")
    assert rows(db, "select from postmill.waiters") == []


def test_rows_that_clients_have_left_behind_are_pruned_in_pages(db: Database, queue: str) -> None:
    wait(db, "re-size", *range(1, 11))
    db.execute(
        b"update postmill.waiters set since = clock_timestamp() - interval '2 hours' where msg_id < 10"
    )
    db.execute(b"select postmill._prune_waiters(5)")
    assert value(db, "select count(*) from postmill.waiters") == 5
    db.execute(b"select * from postmill.prune()")
    assert column(db, "select msg_id from postmill.waiters") == [10]
    wait(db, "re-size", 10)
    assert row(db, "select since > clock_timestamp() - interval '1 minute' as renewed from postmill.waiters")[
        "renewed"
    ]
