"""What a worker held goes back to its queue, once, and nothing else does: when the worker is gone
(postmill.rescue), and when it knows nothing of its claim (give_back).
"""

from __future__ import annotations

import time
from datetime import timedelta
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
    """The messages of each claim that a rescue gives back; None for a worker that may be gone."""
    return [row["msg_ids"] for row in db.execute("select msg_ids from postmill.rescue()").fetchall()]


def forgotten(db: Database) -> list[list[int] | None]:
    """The same for a worker that gives back claims which it does not know."""
    arguments = [WORKER, [], 0.0, "lost_lease", "never told"]
    return [row["msg_ids"] for row in db.execute(statement("give_back"), arguments).fetchall()]


both_ways = pytest.mark.parametrize(
    ("give_back", "kind"), [(rescued, "crash"), (forgotten, "lost_lease")], ids=["rescued", "forgotten"]
)


@pytest.fixture(autouse=True)
def old_server(db: Database) -> None:
    """Where a worker was heard of before the server's start, its lock says nothing yet."""
    while not answer(db, "select pg_postmaster_start_time() < clock_timestamp() - interval '1 s'"):
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
def test_a_claim_of_a_queue_before_touches_nothing_of_the_next(
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
    """It locks its row before its claim: a rescue that waited with the claim in hand was a deadlock."""
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
            "worker_start": [WORKER, queue, "", "", 0, "", 1, LOCK, timedelta(seconds=10), False],
            "worker_heartbeat": [WORKER, 0, queue, [], [], 30.0, 3.0, LOCK],
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


def test_a_worker_that_held_nothing_is_put_down_as_stopped(db: Database, with_lock: None) -> None:
    """Killed workers that held no message stood in the list of the silent for a week."""
    assert rescued(db) == [None]
    a_second_passes(db)
    assert rescued(db) == []
    assert answer(db, "select stop_reason from postmill.workers") == "crash"


def silent_for(db: Database, seconds: float, *, lease: str = "10 s", lock: int | None = LOCK) -> None:
    """The worker was last heard of so long ago, by its heartbeat and by its claim."""
    db.execute(
        "update postmill.workers set last_heartbeat_at = clock_timestamp() - $1::float8 * interval '1 s',"
        " lease = $2::interval, lock_key = $3",
        [seconds, lease, lock],
    )
    db.execute(
        "update postmill.claims set claimed_at = clock_timestamp() - $1::float8 * interval '1 s'", [seconds]
    )
    db.execute(
        "update pgmq.\"q_re-size\" set enqueued_at = enqueued_at - $1::float8 * interval '1 s'", [seconds]
    )


@pytest.fixture
def server_of_yesterday(db: Database) -> None:
    """As far as rescues can see."""
    db.execute(
        "create or replace function postmill._server_since() returns timestamptz language sql"
        " return clock_timestamp() - interval '1 day'"
    )


@pytest.mark.parametrize(
    ("lease", "silent_s", "gone"),
    [
        ("1 s", 9.5, False),
        ("10 s", 9.5, False),
        ("10 s", 10.5, True),
        ("2 min", 119, False),
        ("2 min", 121, True),
    ],
)
@pytest.mark.usefixtures("server_of_yesterday", "with_lock")
def test_a_worker_may_be_silent_for_ten_seconds_and_for_its_lease(
    db: Database, queue: str, connect: Callable[[], Database], lease: str, silent_s: float, gone: bool
) -> None:
    """Stalls of three seconds made living workers dead, whatever their lease. The lock is held: nothing
    crashed.
    """
    msg_id = claimed(db, queue)
    connect().execute("select pg_advisory_lock($1)", [LOCK])
    silent_for(db, silent_s, lease=lease)
    assert rescued(db) == ([[msg_id]] if gone else [])
    assert answer(db, "select array_agg(kind) from postmill.failures") == (["lost_lease"] if gone else None)
    assert answer(db, "select stop_reason from postmill.workers") == ("silence" if gone else None)


@pytest.mark.usefixtures("server_of_yesterday", "with_lock")
def test_silence_where_no_lock_can_be_had_is_a_crash(db: Database, queue: str) -> None:
    """Behind a pooler nothing else shows a worker's end, and a deadly message must come to one."""
    msg_id = claimed(db, queue)
    silent_for(db, 11, lock=None)
    assert rescued(db) == [[msg_id]]
    assert answer(db, "select kind from postmill.failures") == "crash"


@pytest.mark.usefixtures("server_of_yesterday", "with_lock")
def test_a_claim_is_a_sign_of_life(db: Database, queue: str) -> None:
    """An idle worker beats seldom: it claims, and the network stalls before its next heartbeat."""
    msg_id = claimed(db, queue)
    silent_for(db, 11, lock=None)
    db.execute("update postmill.claims set claimed_at = clock_timestamp()")
    assert rescued(db) == []
    silent_for(db, 11, lock=None)
    assert rescued(db) == [[msg_id]]


@pytest.mark.usefixtures("server_of_yesterday", "with_lock")
def test_a_worker_that_claims_after_its_silence_is_not_robbed(db: Database, queue: str) -> None:
    """A frozen process goes on: its claim may come before the heartbeat that takes it off the list of the
    gone.
    """
    silent_for(db, 11, lock=None)
    assert rescued(db) == []
    assert answer(db, "select stop_reason from postmill.workers") == "crash"
    claimed(db, queue)
    assert rescued(db) == []


@pytest.mark.parametrize("heard", [True, False], ids=["heard of since", "not heard of since"])
@pytest.mark.parametrize("cut", ["the server's start", "the caller's reconnection"])
@pytest.mark.usefixtures("server_of_yesterday", "with_lock")
def test_what_cut_off_everybody_is_no_end_of_a_worker(
    db: Database, queue: str, cut: str, heard: bool
) -> None:
    """Locks are free and workers silent when a server has restarted: each has its whole time to come back."""
    claimed(db, queue)
    silent_for(db, 0 if heard else 60, lease="2 min")
    ago = "clock_timestamp() - interval '30 s'"
    since = ago if cut == "the caller's reconnection" else "'-infinity'"
    if cut == "the server's start":
        text = "create or replace function postmill._server_since() returns timestamptz language sql return "
        db.execute(text + ago)
    rescue = f"select msg_ids from postmill.rescue(100, {since})"
    assert [row["msg_ids"] for row in db.execute(rescue).fetchall()] == [None]
    a_second_passes(db)
    returned = [row["msg_ids"] for row in db.execute(rescue).fetchall()]
    assert returned == ([[1]] if heard else [None])


@pytest.mark.usefixtures("server_of_yesterday", "with_lock")
def test_a_deadly_message_that_was_claimed_again_is_recorded_all_the_same(db: Database, queue: str) -> None:
    """Its lease ended before its worker was judged: the delivery was not on record, and the message never
    ended.
    """
    msg_id = claimed(db, queue)
    db.execute('update pgmq."q_re-size" set read_ct = 2')
    silent_for(db, 11, lock=None)
    held_until = answer(db, 'select vt from pgmq."q_re-size"')
    assert rescued(db) == [[]]
    assert answer(db, "select array_agg(msg_id::text || kind) from postmill.failures") == [f"{msg_id}crash"]
    assert answer(db, 'select vt from pgmq."q_re-size"') == held_until


@pytest.mark.usefixtures("server_of_yesterday", "with_lock")
def test_a_locked_row_holds_up_no_heartbeat_and_no_rescue(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """An operator's open transaction has the worker's row: neither a sign nor a verdict can be written."""
    claimed(db, queue)
    silent_for(db, 11, lock=None)
    operator = connect()
    db.execute("set lock_timeout = '10s'")
    with operator.transaction(force_rollback=True):
        operator.execute("update postmill.workers set deprecated_at = now()")
        assert rescued(db) == []
        for sign, arguments in (
            ("worker_start", [WORKER, queue, "", "", 0, "", 1, None, timedelta(seconds=10), False]),
            ("worker_heartbeat", [WORKER, 0, queue, [], [], 30.0, 3.0, None]),
        ):
            db.execute(statement(sign), arguments)
    assert answer(db, "select count(*) from postmill.workers where stopped_at is null") == 1


@pytest.mark.usefixtures("with_lock")
def test_an_idle_heartbeat_writes_seldom(db: Database, queue: str) -> None:
    """It asks for news more often than it need show itself."""
    before = answer(db, "select last_heartbeat_at from postmill.workers")
    db.execute(statement("worker_heartbeat"), [WORKER, 0, queue, [], [], 30.0, 3600.0, LOCK])
    assert answer(db, "select last_heartbeat_at from postmill.workers") == before
    db.execute(statement("worker_heartbeat"), [WORKER, 0, queue, [], [], 30.0, 0.0, LOCK])
    assert answer(db, "select last_heartbeat_at from postmill.workers") > before


@both_ways
def test_a_queue_that_refuses_keeps_no_other_queues_messages(
    db: Database, queue: str, foreign: str, give_back: GiveBack, kind: str
) -> None:
    """A trigger raised, and the whole rescue was undone: no message of any queue came back."""
    claimed(db, queue)
    msg_id = claimed(db, foreign)
    db.execute("create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$")
    db.execute('create trigger refuse before update on pgmq."q_re-size" execute function refuse()')
    assert give_back(db) == [[msg_id]]
    assert answer(db, "select string_agg(queue_name, ' ') from postmill.claims") == queue
    db.execute('drop trigger refuse on pgmq."q_re-size"')
    assert give_back(db) == [[1]]
