"""What a worker held goes back to its queue, once, and nothing else does: when the worker is gone
(postmill.rescue), and when it knows nothing of its claim (give_back).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    Database = psycopg.Connection[dict[str, Any]]
    GiveBack = Callable[[Database], list[list[int] | None]]

WORKER = "00000000-0000-0000-0000-00000000dead"


LOCK = 57


def rescued(db: Database) -> list[list[int] | None]:
    """The messages of each receipt that a rescue gives back; None for a worker that may be gone."""
    return [row["msg_ids"] for row in db.execute("select msg_ids from postmill.rescue()").fetchall()]


def forgotten(db: Database) -> list[list[int] | None]:
    """The same for a worker that gives back receipts which it does not know."""
    arguments = [WORKER, [], 0.0, "lost_lease", "never told"]
    return [row["msg_ids"] for row in db.execute(statement("give_back"), arguments).fetchall()]


both_ways = pytest.mark.parametrize(
    ("give_back", "kind"), [(rescued, "crash"), (forgotten, "lost_lease")], ids=["rescued", "forgotten"]
)


@pytest.fixture(autouse=True)
def old_server(db: Database) -> None:
    """While a server is younger than six seconds it judges no worker."""
    while not answer(db, "select pg_postmaster_start_time() < clock_timestamp() - interval '6 s'"):
        time.sleep(0.1)


def answer(db: Database, query: str, *arguments: object) -> Any:
    """The one value that a query gives."""
    row = db.execute(query, arguments).fetchone()
    assert row is not None
    (value,) = row.values()
    return value


def claimed(db: Database, queue: str) -> int:
    """A message that a worker took, of whom nobody has heard since."""
    msg_id = int(answer(db, "select pgmq.send($1, '{}')", queue))
    db.execute("select pgmq.read($1, 600, 1)", [queue])
    db.execute(
        "insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts) values ($1, $2, $3, '{1}')",
        [WORKER, queue, [msg_id]],
    )
    return msg_id


@both_ways
def test_a_receipt_of_a_queue_before_touches_nothing_of_the_next(
    db: Database, foreign: str, give_back: GiveBack, kind: str
) -> None:
    """Another client drops and creates the queue: its ids start again, and the same one is being read."""
    claimed(db, foreign)
    db.execute("select pgmq.drop_queue($1)", [foreign])
    db.execute("select pgmq.create($1)", [foreign])
    db.execute("select pgmq.send($1, '{}')", [foreign])
    db.execute("select pgmq.read($1, 600, 1)", [foreign])
    assert give_back(db) == [[]]
    assert answer(db, "select vt > now() + interval '5 min' from pgmq.q_theirs")
    assert answer(db, "select count(*) from postmill.failures") == 0
    assert answer(db, "select count(*) from postmill.claims") == 0


@both_ways
def test_a_settlement_on_its_way_is_neither_waited_for_nor_hindered(
    db: Database,
    queue: str,
    connect: Callable[[], Database],
    give_back: GiveBack,
    kind: str,
) -> None:
    """It locks its row before its receipt: a rescue that waited with the receipt in hand was a deadlock."""
    msg_id = claimed(db, queue)
    db.execute("set lock_timeout = '10s'")
    settlement = connect()
    with settlement.transaction(force_rollback=True):
        settlement.execute('select from pgmq."q_re-size" where msg_id = $1 for update', [msg_id])
        assert give_back(db) == []
        settlement.execute("delete from postmill.claims")
    assert answer(db, "select count(*) from postmill.failures") == 0
    assert give_back(db) == [[msg_id]]
    assert answer(db, "select kind from postmill.failures") == kind
    assert give_back(db) == []


@pytest.fixture
def with_lock(db: Database) -> None:
    """The worker is on record, heard of a moment ago; its lock is free."""
    db.execute(
        "insert into postmill.workers"
        " (worker_id, queue_name, function_name, hostname, pid, version, max_concurrent, lock_key)"
        " values ($1, 're-size', '', '', 0, '', 1, $2)",
        [WORKER, LOCK],
    )


def a_second_passes(db: Database) -> None:
    """As far as rescues can see."""
    db.execute("update postmill.workers set lock_free_at = lock_free_at - interval '1 s'")


def test_a_free_lock_is_judged_when_it_is_still_free_a_second_later(
    db: Database, queue: str, with_lock: None
) -> None:
    """A cut connection comes back at once, and takes its lock again."""
    msg_id = claimed(db, queue)
    assert rescued(db) == [None]
    assert rescued(db) == [None]
    a_second_passes(db)
    assert rescued(db) == [[msg_id]]
    assert answer(db, "select stop_reason from postmill.workers") == "crash"
    assert rescued(db) == []


def test_who_is_heard_of_again_is_suspected_anew(db: Database, queue: str, with_lock: None) -> None:
    claimed(db, queue)
    for sign in ("worker_start", "worker_heartbeat"):
        assert rescued(db) == [None]
        a_second_passes(db)
        arguments = {
            "worker_start": [WORKER, queue, "", "", 0, "", 1, LOCK],
            "worker_heartbeat": [WORKER, 0, queue, [], [], 30.0],
        }
        db.execute(statement(sign), arguments[sign])
    assert rescued(db) == [None]


def test_who_holds_its_lock_is_not_suspected(
    db: Database, queue: str, with_lock: None, connect: Callable[[], Database]
) -> None:
    claimed(db, queue)
    worker = connect()
    worker.execute("select pg_advisory_lock($1)", [LOCK])
    assert rescued(db) == []
    worker.close()
    while rescued(db) == []:
        time.sleep(0.05)
    assert rescued(db) == [None]


def test_who_holds_nothing_is_not_suspected(db: Database, queue: str, with_lock: None) -> None:
    assert rescued(db) == []
    assert answer(db, "select lock_free_at from postmill.workers") is None
