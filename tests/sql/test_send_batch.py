from __future__ import annotations

import pytest

from tests.sql.asking import Database, column, refused, rows, value


def test_sends_all_and_returns_their_ids_in_order(db: Database, queue: str) -> None:
    sent = column(db, "select postmill.send_batch('re-size', array['\"a\"', '\"b\"', '\"c\"']::jsonb[])")
    assert sent == [1, 2, 3]
    assert column(db, 'select message from pgmq."q_re-size" order by msg_id') == ["a", "b", "c"]


def test_one_moment_holds_for_all(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send_batch('re-size', array['1', '2']::jsonb[], delay => '1 hour')")
    assert value(db, 'select count(distinct vt) from pgmq."q_re-size"') == 1


def test_headers_go_one_by_one_and_may_be_missing(db: Database, queue: str) -> None:
    db.execute(
        b"select postmill.send_batch('re-size', array['1', '2']::jsonb[], "
        b"headers => array['{\"k\": 1}', null]::jsonb[])"
    )
    assert column(db, 'select headers from pgmq."q_re-size" order by msg_id') == [{"k": 1}, None]


def test_nothing_is_a_batch_too(db: Database, queue: str) -> None:
    assert rows(db, "select postmill.send_batch('re-size', '{}')") == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("'nope', array['1']::jsonb[]", "PM001", "there is no queue 'nope'"),
        ("'re-size', null", "PM003", "null"),
        ("'re-size', array['1', null]::jsonb[]", "PM003", "null"),
        ("'re-size', array['1']::jsonb[], delay => '-1 s'", "PM003", "negative"),
        ("'re-size', array['1']::jsonb[], headers => '{}'", "PM003", "0 headers for 1 messages"),
        ("'re-size', array['1']::jsonb[], headers => array['1']::jsonb[]", "PM003", "JSON object"),
    ],
)
def test_refuses(db: Database, queue: str, arguments: str, code: str, says: str) -> None:
    with refused(code, says):
        db.execute(f"select postmill.send_batch({arguments})".encode())
