from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.sql.asking import Database, claim, heard, refused, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

CANCEL = "select postmill.cancel('re-size', 1)"


@pytest.mark.parametrize("delay", ["0 s", "1 hour"])
def test_a_waiting_message_is_taken_out_and_kept(db: Database, queue: str, delay: str) -> None:
    db.execute(
        b"select postmill.send('re-size', '{\"n\": 1}', $1::text::interval, headers => '{\"h\": 1}')", [delay]
    )

    assert value(db, CANCEL) == "cancelled"

    assert rows(db, 'select from pgmq."q_re-size"') == []
    kept = row(db, "select message, headers, cancelled_at is not null as done from postmill.cancelled")
    assert kept == {"message": {"n": 1}, "headers": {"h": 1}, "done": True}


def test_a_running_message_is_only_asked_for(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    db.execute(b"select postmill.send('re-size', '1')")
    claim(db, queue, 1)
    listening = connect()
    listening.execute(b'listen "postmill.re-size"')

    assert value(db, CANCEL) == "requested"

    assert heard(listening, queue) == ["cancel"]
    assert rows(db, "select msg_id, cancelled_at from postmill.cancelled") == [
        {"msg_id": 1, "cancelled_at": None}
    ]
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 1


def test_a_retrying_message_is_cancelled_although_it_has_an_old_claim(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1')")
    claim(db, queue, 1)
    # Read again by somebody: the claim's read_ct is no longer the message's.
    db.execute(b'update pgmq."q_re-size" set read_ct = 2')
    assert value(db, CANCEL) == "cancelled"


def test_a_request_that_was_not_heard_ends_when_the_message_waits_again(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '\"m\"')")
    claim(db, queue, 1)
    assert value(db, CANCEL) == "requested"
    db.execute(b'update pgmq."q_re-size" set vt = clock_timestamp()')
    assert value(db, CANCEL) == "cancelled"
    assert value(db, "select message from postmill.cancelled") == "m"


def test_again_and_for_what_never_was(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1')")
    assert [value(db, CANCEL), value(db, CANCEL)] == ["cancelled", "cancelled"]
    assert value(db, "select postmill.cancel('re-size', 2)") == "not found"


def test_a_completed_message_is_not_found(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1')")
    db.execute(b"select pgmq.archive('re-size', 1)")
    assert value(db, CANCEL) == "not found"


def test_waits_for_a_claim_that_is_under_way_and_sees_it(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    # Without the row's lock first it would see no claim, and delete a message that has just begun to run.
    db.execute(b"select postmill.send('re-size', '1')")
    claiming, cancelling = connect(), connect()
    with ThreadPoolExecutor(1) as pool:
        with claiming.transaction():
            claim(claiming, queue, 1)
            answer = pool.submit(value, cancelling, CANCEL)
            pid = cancelling.info.backend_pid
            while not value(db, "select cardinality(pg_blocking_pids($1)) > 0", pid):
                assert not answer.done()
        assert answer.result() == "requested"


def test_refuses_a_queue_that_is_not_there(db: Database) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(b"select postmill.cancel('nope', 1)")
