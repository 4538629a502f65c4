from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sql.asking import Database, bury, claim, column, refused, value

if TYPE_CHECKING:
    from collections.abc import Callable


def test_deletes_what_waits_and_leaves_what_runs(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send_batch('re-size', array_fill('1'::jsonb, array[5]))")
    db.execute(b"select postmill.send('re-size', '1', delay => '1 hour')")
    claim(db, queue, 2, 4)
    bury(db, queue, 9)

    assert value(db, "select postmill.purge_queue('re-size')") == 4

    assert column(db, 'select msg_id from pgmq."q_re-size" order by 1') == [2, 4]
    assert value(db, "select count(*) from postmill.dead") == 1


def test_deletes_a_message_whose_lease_ran_out(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1')")
    claim(db, queue, 1)
    db.execute(b'update pgmq."q_re-size" set vt = clock_timestamp()')
    assert value(db, "select postmill.purge_queue('re-size')") == 1


def test_crosses_the_border_of_its_batches(db: Database, queue: str) -> None:
    db.execute(b"select pgmq.send_batch('re-size', array_fill('1'::jsonb, array[10001]))")
    assert value(db, "select postmill.purge_queue('re-size')") == 10001
    assert value(db, "select postmill.purge_queue('re-size')") == 0


def test_leaves_a_message_that_is_being_claimed(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    db.execute(b"select postmill.send_batch('re-size', array['1', '2']::jsonb[])")
    claiming = connect()
    with claiming.transaction():
        claim(claiming, queue, 1)
        assert value(db, "select postmill.purge_queue('re-size')") == 1
    assert value(db, "select state from postmill.messages('re-size')") == "running"


def test_refuses_a_queue_that_is_not_there(db: Database) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(b"select postmill.purge_queue('nope')")
