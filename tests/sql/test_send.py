from __future__ import annotations

import pytest

from tests.sql.asking import Database, column, refused, row, value


def test_sends_now_and_returns_the_id(db: Database, queue: str) -> None:
    assert value(db, "select postmill.send('re-size', $1::jsonb)", '{"page": 1}') == 1
    sent = row(db, 'select message, headers, vt <= clock_timestamp() as due from pgmq."q_re-size"')
    assert sent == {"message": {"page": 1}, "headers": None, "due": True}


def test_sends_to_a_queue_of_another_client(db: Database, foreign: str) -> None:
    assert value(db, "select postmill.send('theirs', '1', headers => '{\"a\": 1}')") == 1


def test_sends_to_a_foreign_queue_with_capitals(db: Database) -> None:
    db.execute(b"select pgmq.create('MyQueue')")
    assert value(db, "select postmill.send('MyQueue', '1')") == 1


def test_delay_counts_from_now_by_the_servers_clock(db: Database, queue: str) -> None:
    with db.transaction():
        # The transaction's start does not matter: a long one must not send early.
        db.execute(b"select now()")
        db.execute(b"select postmill.send('re-size', '1', delay => '90 seconds')")
        left = value(db, "select vt - clock_timestamp() between '85 s' and '90 s' from pgmq.\"q_re-size\"")
    assert left


def test_run_at_is_exact(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1', run_at => '2050-01-02 03:04:05.678+00')")
    assert value(db, "select vt = '2050-01-02 03:04:05.678+00' from pgmq.\"q_re-size\"")


def test_run_at_in_the_past_is_due_at_once(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1', run_at => '2001-01-01 00:00+00')")
    assert value(db, "select state from postmill.messages('re-size')") == "ready"


def test_goes_with_the_transaction_of_the_caller(db: Database, queue: str) -> None:
    with db.transaction(force_rollback=True):
        db.execute(b"select postmill.send('re-size', '1')")
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 0


def test_headers_are_kept(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1', headers => '{\"tenant\": \"acme\"}')")
    assert value(db, 'select headers from pgmq."q_re-size"') == {"tenant": "acme"}


def test_a_json_null_is_a_message(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', 'null'::jsonb)")
    assert value(db, 'select message::text from pgmq."q_re-size"') == "null"


def test_works_by_position_and_with_untyped_literals(db: Database, queue: str) -> None:
    assert column(db, "select postmill.send('re-size', '{\"a\": 1}', '5 minutes')") == [1]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("'nope', '1'", "PM001", "there is no queue 'nope'"),
        ("null, '1'", "PM001", "there is no queue null"),
        ("'re-size', null", "PM003", "message is null"),
        ("'re-size', '1', delay => '-1 s'", "PM003", "delay is negative"),
        ("'re-size', '1', delay => '1 s', run_at => now()", "PM003", "exclude each other"),
        ("'re-size', '1', run_at => 'infinity'", "PM003", "not a moment"),
        ("'re-size', '1', headers => '[1]'", "PM003", "headers must be a JSON object"),
    ],
)
def test_refuses(db: Database, queue: str, arguments: str, code: str, says: str) -> None:
    with refused(code, says):
        db.execute(f"select postmill.send({arguments})".encode())
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 0
