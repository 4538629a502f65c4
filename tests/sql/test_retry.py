from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.sql.asking import Database, bury, claim, fail, refused, row, value

if TYPE_CHECKING:
    from collections.abc import Callable

RETRY = "select postmill.retry('re-size', 1)"
IS_READY = 'select vt <= clock_timestamp() from pgmq."q_re-size"'


def test_a_delayed_message_is_ready_at_once(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1', delay => '1 hour')")
    assert value(db, RETRY) == "ready"
    assert value(db, IS_READY)
    assert value(db, RETRY) == "ready"


def test_a_message_that_waits_for_its_next_attempt_keeps_its_count(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1')")
    claim(db, queue, 1)
    fail(db, queue, 1, "no")
    db.execute(b"delete from postmill.claims")
    assert value(db, RETRY) == "ready"
    assert row(db, "select state, attempts from postmill.messages('re-size')") == {
        "state": "ready",
        "attempts": 1,
    }


def test_a_dead_message_is_put_back(db: Database, queue: str) -> None:
    letter = bury(db, queue, 1)
    db.execute(b"select setval('pgmq.\"q_re-size_msg_id_seq\"', 50)")
    assert value(db, RETRY) == "replayed"
    assert value(db, "select replayed_as from postmill.dead where letter_id = $1", letter) == 51
    assert value(db, RETRY) == "not found"


def test_waits_for_a_claim_that_is_under_way_and_leaves_it_alone(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """Looking for the claim without waiting for the row finds none, and the message runs twice."""
    db.execute(b"select postmill.send('re-size', '1', delay => '1 hour')")
    claiming, retrying = connect(), connect()
    with ThreadPoolExecutor(1) as pool:
        with claiming.transaction():
            claim(claiming, queue, 1)
            answer = pool.submit(value, retrying, RETRY)
            pid = retrying.info.backend_pid
            while not value(db, "select cardinality(pg_blocking_pids($1)) > 0", pid):
                assert not answer.done()
        assert answer.result() == "running"
    assert not value(db, IS_READY)


def test_refuses_a_queue_that_is_not_there(db: Database) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(b"select postmill.retry('nope', 1)")
