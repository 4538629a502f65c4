from __future__ import annotations

import pytest

from postmill.sql.catalog import statement
from tests.sql.asking import Database, bury, claim, column, fail, refused, row, rows, value
from tests.sql.waiting import park

STATES = ["scheduled", "ready", "running", "retrying", "completed", "dead", "cancelled", "waiting"]


@pytest.fixture
def one_of_each(db: Database, queue: str) -> str:
    """Message 1 is scheduled, 2 ready, and so on through STATES."""
    db.execute(b"select postmill.send('re-size', '1', delay => '1 hour')")
    for number in range(2, 8):
        db.execute(b"select postmill.send('re-size', to_jsonb($1::integer))", [number])
    claim(db, queue, 3)
    db.execute(b"update pgmq.\"q_re-size\" set read_ct = 1, vt = vt + interval '1 hour' where msg_id = 4")
    db.execute(b"select pgmq.archive('re-size', 5)")
    db.execute(b"select pgmq.delete('re-size', 6)")
    bury(db, queue, 6)
    db.execute(b"select postmill.cancel('re-size', 7)")
    park(db, queue)
    return queue


def test_every_message_has_its_state_whatever_table_it_is_in(db: Database, one_of_each: str) -> None:
    assert column(db, "select state from postmill.messages('re-size') order by msg_id") == STATES


@pytest.mark.parametrize("state", STATES)
def test_only_one_state(db: Database, one_of_each: str, state: str) -> None:
    found = column(db, "select msg_id from postmill.messages('re-size', only_state => $1)", state)
    assert found == [STATES.index(state) + 1]


def test_newest_first_in_pages(db: Database, one_of_each: str) -> None:
    page = "select msg_id from postmill.messages('re-size', max_rows => 3, before_id => $1)"
    assert [column(db, page, before) for before in (None, 6, 3)] == [[8, 7, 6], [5, 4, 3], [2, 1]]
    assert column(db, "select state from postmill.messages('re-size', only_id => 5)") == ["completed"]


def test_attempts_and_the_last_error(db: Database, one_of_each: str) -> None:
    fail(db, one_of_each, 3, "first")
    fail(db, one_of_each, 3, "second")
    fail(db, one_of_each, 3, "stolen", kind="lost_lease")
    fail(db, one_of_each, 4, "boom")
    fail(db, one_of_each, 2, "of another life")
    db.execute(b"update postmill.failures set failed_at = now() - interval '1 day' where msg_id = 2")

    found = rows(db, "select msg_id, attempts, last_error from postmill.messages('re-size') order by msg_id")

    assert [tuple(each.values()) for each in found] == [
        (1, 0, None),
        (2, 0, None),
        (3, 3, "ValueError: second"),
        (4, 1, "ValueError: boom"),
        (5, 1, None),
        (6, 3, "it broke"),
        (7, 0, None),
        (8, 0, None),
    ]


def test_who_runs_it(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1')")
    worker_id = claim(db, queue, 1)
    assert value(db, "select worker_id from postmill.messages('re-size')") == worker_id


def test_payload_headers_and_result(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '{\"n\": 1}', headers => '{\"h\": 1}')")
    db.execute(b"select pgmq.archive('re-size', 1)")
    db.execute(b"insert into postmill.results (queue_name, msg_id, result) values ('re-size', 1, '42')")
    found = row(
        db,
        "select message, headers, result, finished_at is not null as finished "
        "from postmill.messages('re-size')",
    )
    assert found == {"message": {"n": 1}, "headers": {"h": 1}, "result": 42, "finished": True}


def test_a_value_that_can_not_be_shown_hides_no_other(db: Database, queue: str) -> None:
    """Numbers are written out: of these 2 KB no text can be made, and no message of the queue was listed."""
    huge = "('[' || repeat('1e131000,', 8300) || '1]')::jsonb"
    db.execute(
        f"insert into pgmq.\"q_{queue}\" (vt, message) values (now(), '{{}}'), (now(), {huge})".encode()
    )
    db.execute(
        "insert into postmill.dead_letters"
        " (queue_name, msg_id, read_ct, enqueued_at, attempts, kind, reason, headers)"
        f" values ('{queue}', 9, 1, now(), 1, 'error', 'x', {huge})".encode()
    )
    listed = {each["msg_id"]: each for each in rows(db, "select * from postmill.messages($1)", queue)}
    assert listed[1]["message"] == {}
    assert "too large to be shown" in listed[2]["message"]
    assert "too large to be shown" in listed[9]["headers"]
    (letter,) = db.execute(statement("read_dead_letters"), [queue, 10, False, None]).fetchall()
    assert "too large to be shown" in letter["headers"]


def test_headers_of_a_waiting_message(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '{\"headers\": 0}', headers => '{\"h\": 1}')")
    assert value(db, "select headers from postmill.messages('re-size')") == {"h": 1}


def test_a_result_outlives_its_message(db: Database, queue: str) -> None:
    db.execute(b"insert into postmill.results (queue_name, msg_id, result) values ('re-size', 1, '42')")
    assert row(db, "select state, result, message from postmill.messages('re-size')") == {
        "state": "completed",
        "result": 42,
        "message": None,
    }


def test_a_replayed_letter_is_seen_as_its_new_message(db: Database, queue: str) -> None:
    bury(db, queue, 9)
    db.execute(b"select postmill.replay('re-size')")
    assert column(db, "select state from postmill.messages('re-size')") == ["ready"]


def test_a_queue_without_an_archive(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1')")
    db.execute(b'drop table pgmq."a_re-size"')
    assert column(db, "select state from postmill.messages('re-size')") == ["ready"]


def test_refuses_an_unknown_state_and_an_unknown_queue(db: Database, queue: str) -> None:
    with refused("PM003", "'asleep' is not a state"):
        db.execute(b"select postmill.messages('re-size', 'asleep')")
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(b"select postmill.messages('nope')")
