from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.sql.asking import Database, refused, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

PARK = "select postmill._park('re-size', $1::bigint[], $2::text[], $3::timestamptz[])"
GATES = "select group_key, msg_id, claim_id, rank > now() as later from postmill.gates order by msg_id"
PAST, LATER = "2001-01-01 00:00+00", "2300-01-01 00:00+00"


def test_a_message_waits_for_its_group(db: Database, queue: str) -> None:
    db.execute(PARK.encode(), [[2, 1], ["b", "a"], [LATER, PAST]])
    assert rows(db, GATES) == [
        {"group_key": "a", "msg_id": 1, "claim_id": None, "later": False},
        {"group_key": "b", "msg_id": 2, "claim_id": None, "later": True},
    ]


def test_one_that_had_a_place_waits_again(db: Database, queue: str) -> None:
    db.execute(PARK.encode(), [[1], ["a"], [PAST]])
    db.execute(b"update postmill.gates set claim_id = 7")
    db.execute(PARK.encode(), [[1], ["b"], [LATER]])
    assert rows(db, GATES) == [{"group_key": "b", "msg_id": 1, "claim_id": None, "later": True}]


def test_no_rank_is_older_than_the_lock_on_the_table(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """A worker trusts that a transaction which it does not see among the writers has no older rank."""
    with connect() as other:
        other.execute(b'begin; lock table pgmq."q_re-size" in share mode')
        with ThreadPoolExecutor(1) as pool, connect() as parking:
            parked = pool.submit(parking.execute, PARK.encode(), [[1], ["a"], [PAST]])
            while not value(db, "select cardinality(pg_blocking_pids($1)) > 0", parking.info.backend_pid):
                assert not parked.done()
            released = value(other, "select clock_timestamp()")
            other.execute(b"commit")
            parked.result()
    assert row(db, "select rank from postmill.gates")["rank"] > released


def test_two_senders_of_new_groups_never_wait_for_each_other(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """In opposite order, in long transactions: rows of groups made by senders would be a deadlock."""
    db.execute(PARK.encode(), [[9], ["z"], [PAST]])
    with connect() as first, connect() as second:
        for sender, key, msg_id in [(first, "a", 1), (second, "b", 2), (first, "b", 3), (second, "a", 4)]:
            if msg_id < 3:
                sender.execute(b"begin; set local lock_timeout = '1s'")
            sender.execute(PARK.encode(), [[msg_id], [key], [PAST]])
        first.execute(b"commit")
        second.execute(b"commit")
    assert len(rows(db, GATES)) == 5


def test_refuses_a_queue_that_is_not_there(db: Database) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(b"select postmill._park('nope', '{1}', '{a}', array[now()])")
