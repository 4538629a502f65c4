"""What why() says about a message that does not run, one test a cause."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.sql import flow_scene
from tests.sql.asking import Database, bury, claim, fail, refused, rows, value
from tests.sql.flow_scene import register, start, step
from tests.sql.waiting import block, gate, hold, live, park, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg.rows import DictRow


LOOKS = "a worker has room and has not looked yet: it does within seconds"


def causes(db: Database, queue: str, msg_id: int) -> list[str]:
    """The words of all causes, the decisive one first."""
    found = rows(db, "select * from postmill.why($1, $2)", queue, msg_id)
    assert [each["rank"] for each in found] == list(range(1, len(found) + 1))
    return [each["cause"] for each in found]


def first(db: Database, queue: str, msg_id: int) -> DictRow:
    """The decisive one."""
    return rows(db, "select * from postmill.why($1, $2)", queue, msg_id)[0]


def pid(session: Database) -> int:
    """The process of a session."""
    found: int = value(session, "select pg_backend_pid()")
    return found


def test_a_worker_has_room_and_has_not_looked_yet(db: Database, queue: str) -> None:
    live(db, queue)
    for message in (put(db, queue), park(db, queue)):
        found = first(db, queue, message)
        assert found["cause"] == "not_looked_yet"
        assert found["detail"]["ready_since"]
        db.execute(b'delete from pgmq."q_re-size" where msg_id = $1', [message])


def test_a_paused_queue(db: Database, queue: str) -> None:
    live(db, queue)
    message = put(db, queue)
    db.execute(b"select postmill.pause('re-size', 'deploy')")
    found = first(db, queue, message)
    assert found["cause"] == "paused"
    assert found["said"].endswith(": deploy")
    assert found["detail"]["reason"] == "deploy"
    assert causes(db, queue, message) == ["paused"]


def test_a_task_of_a_paused_run(db: Database) -> None:
    """A message that only looks like one is of no run."""
    register(db, step("a"))
    run = start(db)
    live(db, "shop")
    db.execute(b"select postmill.pause_run($1, 'the shop is closed')", [run])
    task = value(db, "select msg_id from pgmq.q_shop")
    found = first(db, "shop", task)
    assert found["said"] == f"its run {run} does not go on: paused by postgres: the shop is closed"
    forged = value(
        db, "select * from pgmq.send('shop', jsonb_build_object('run', $1::bigint, 'step', 'z'))", run
    )
    assert "run_paused" not in causes(db, "shop", forged)


@pytest.mark.parametrize(
    ("why", "cause", "said"),
    [
        ("paused", "run_paused", "paused by postgres: the shop is closed"),
        ("version", "no_version", "no worker for version 1 (step a)"),
    ],
)
def test_a_task_that_was_laid_aside(db: Database, why: str, cause: str, said: str) -> None:
    """A worker has taken it out of the queue: nothing was left of it, by what was said."""
    register(db, step("a"))
    run = start(db)
    message = value(db, "select msg_id from pgmq.q_shop")
    if why == "paused":
        db.execute(b"select postmill.pause_run($1, 'the shop is closed')", [run])
    flow_scene.hold(db, flow_scene.take_one(db), why, message)
    found = first(db, "shop", message)
    assert (found["cause"], found["detail"]["run_id"]) == (cause, run)
    assert found["said"] == f"it is laid aside: its run {run} does not go on: {said}"
    db.execute(b"select postmill.cancel_run($1)", [run])
    assert causes(db, "shop", message) == ["gone"]


def test_no_worker_and_since_when(db: Database, queue: str) -> None:
    message = put(db, queue)
    assert first(db, queue, message)["said"] == "no worker"
    live(db, queue)
    db.execute(b"update postmill.workers set stopped_at = '2020-02-03 04:05:06+00', stop_reason = 'crash'")
    db.execute(b"set timezone = 'UTC'")
    found = first(db, queue, message)
    assert (found["cause"], found["said"]) == ("no_worker", "no worker since 2020-02-03 04:05:06 UTC")
    assert found["detail"]["stop_reason"] == "crash"


def test_its_workers_are_draining(db: Database, queue: str) -> None:
    live(db, queue)
    db.execute(b"update postmill.workers set deprecated_at = now()")
    assert causes(db, queue, put(db, queue)) == ["draining"]


def test_delayed_and_waiting_for_its_retry(db: Database, queue: str) -> None:
    live(db, queue)
    delayed = put(db, queue, "'2087-01-02 12:00+00'")
    retried = put(db, queue, "'2087-01-02 12:00+00'", 1)
    fail(db, queue, retried, "boom")
    for message, cause in ((delayed, "delayed"), (retried, "retry")):
        found = first(db, queue, message)
        assert found["cause"] == cause
        assert found["until"].isoformat().startswith("2087-01-02")
        assert causes(db, queue, message) == [cause]


def test_read_by_another_client(db: Database, queue: str) -> None:
    live(db, queue)
    message = put(db, queue)
    db.execute(b"select pgmq.read('re-size', 3600, 1)")
    found = first(db, queue, message)
    assert found["cause"] == "read_elsewhere"
    assert found["detail"]["read_ct"] == 1


def running(db: Database, queue: str) -> int:
    message = put(db, queue)
    worker = claim(db, queue, message)
    live(db, queue)
    db.execute(b"update postmill.workers set worker_id = $1", [worker])
    return message


def test_it_runs_and_on_which_worker(db: Database, queue: str) -> None:
    message = running(db, queue)
    found = first(db, queue, message)
    assert found["cause"] == "running"
    assert found["said"].endswith(" on worker f at h (process 1)")
    assert found["detail"]["pid"] == 1
    assert causes(db, queue, message) == ["running"]


def test_its_worker_is_silent(db: Database, queue: str) -> None:
    """It says when the message is given back."""
    message = running(db, queue)
    db.execute(b"update postmill.workers set last_heartbeat_at = now() - interval '8 s'")
    found = first(db, queue, message)
    assert found["cause"] == "worker_silent"
    assert "which is silent since" in found["said"]
    given_back = "select $1::timestamptz = last_heartbeat_at + interval '10 s' from postmill.workers"
    assert value(db, given_back, found["until"])
    db.execute(b"update postmill.workers set stopped_at = now()")
    assert "which stopped at" in first(db, queue, message)["said"]
    db.execute(b"delete from postmill.workers")
    assert "not on record any more" in first(db, queue, message)["said"]


def test_its_row_is_locked_by_a_session(db: Database, queue: str, connect: Callable[[], Database]) -> None:
    live(db, queue)
    message = put(db, queue)
    other = connect()
    other.execute(b"set application_name = 'forgotten'")
    with other.transaction():
        lock = b'select from pgmq."q_re-size" where msg_id = $1 for update'
        other.execute(lock, [message])
        found = first(db, queue, message)
        assert found["cause"] == "row_locked"
        assert found["detail"]["pid"] == pid(other)
        assert found["detail"]["application"] == "forgotten"
        assert "forgotten, idle in transaction" in found["said"]
    assert causes(db, queue, message) == ["not_looked_yet"]


def test_a_locked_row_shows_the_last_query(db: Database, queue: str, connect: Callable[[], Database]) -> None:
    message, other = put(db, queue), connect()
    with other.transaction():
        other.execute(b'delete from pgmq."q_re-size" -- by hand')
        assert first(db, queue, message)["detail"]["query"].endswith("-- by hand")


def test_an_open_transaction_may_have_sent_it(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    other = connect()
    with other.transaction():
        message = put(other, queue)
        found = first(db, queue, message)
        assert found["cause"] == "uncommitted"
        assert found["detail"]["pid"] == pid(other)
    assert causes(db, queue, message) == ["no_worker"]


def test_a_group_and_a_queue_at_their_limits(db: Database, queue: str) -> None:
    live(db, queue)
    db.execute(b"update postmill.queues set group_max_running = 1, max_running = 1")
    held = hold(db, queue)
    waits, other = park(db, queue), park(db, queue, "other")
    found = rows(db, "select * from postmill.why($1, $2)", queue, waits)
    assert [each["cause"] for each in found] == ["group_limit", "queue_limit"]
    assert found[0]["said"] == f"group acme is at its limit of 1, held by {held}"
    assert found[0]["detail"] == {"group": "acme", "holders": [held]}
    assert causes(db, queue, other) == ["queue_limit"]


def test_a_rate_limit_and_when_it_ends(db: Database, queue: str) -> None:
    live(db, queue)
    db.execute(b"select postmill.limit_groups('re-size', starts => 1, per => '1 hour')")
    waits = park(db, queue)
    db.execute(b"select postmill._grant_starts('re-size', 'acme', 1, 1, '1 hour')")
    found = first(db, queue, waits)
    assert found["cause"] == "rate_limit"
    assert value(db, "select $1::timestamptz > now() + interval '50 min'", found["until"])


def test_messages_that_it_waits_for(db: Database, queue: str) -> None:
    live(db, queue)
    found = first(db, queue, block(db, queue, ("mail", 4)))
    assert (found["cause"], found["said"]) == ("dependency", "waits for 4 of queue mail")
    assert found["detail"]["sources"] == [{"queue": "mail", "msg_id": 4, "died": False}]
    dead = first(db, queue, block(db, queue, ("mail", 5), on_dead="block", died=True))
    assert dead["said"] == "waits for the replay of 5 of queue mail, which died"


def test_others_are_before_it(db: Database, queue: str) -> None:
    live(db, queue)
    put(db, queue)
    put(db, queue)
    found = first(db, queue, put(db, queue))
    assert (found["cause"], found["said"]) == ("behind_others", "behind 2 others that are ready")
    assert found["detail"] == {"ahead": 2, "at_least": False}


def test_others_of_its_group_are_before_it(db: Database, queue: str) -> None:
    live(db, queue)
    park(db, queue)
    found = first(db, queue, park(db, queue))
    assert (found["cause"], found["said"]) == ("behind_others", "behind 1 other of group acme")


def test_all_slots_are_taken(db: Database, queue: str) -> None:
    live(db, queue, slots=2, in_flight=2)
    put(db, queue)
    found = first(db, queue, put(db, queue))
    assert found["cause"] == "slots_taken"
    assert found["detail"] == {"slots": 2, "running": 2, "workers": 1}
    assert causes(db, queue, 2) == ["slots_taken", "behind_others"]


@pytest.mark.parametrize("mode", ["access exclusive", "share"])
def test_the_table_is_locked(db: Database, queue: str, connect: Callable[[], Database], mode: str) -> None:
    """It does not wait for the lock itself."""
    live(db, queue)
    message, other = put(db, queue), connect()
    with other.transaction():
        other.execute(f'lock table pgmq."q_re-size" in {mode} mode'.encode())
        db.execute(b"set lock_timeout = '1 s'")
        found = first(db, queue, message)
        assert found["cause"] == "table_locked"
        assert found["detail"]["pid"] == pid(other)
    assert causes(db, queue, message) == ["not_looked_yet"]


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ("select pgmq.archive('re-size', 1)", "completed"),
        ("select postmill.cancel('re-size', 1)", "cancelled"),
        ("select pgmq.delete('re-size', 1)", "gone"),
    ],
)
def test_where_it_is_when_it_has_left_the_queue(db: Database, queue: str, end: str, cause: str) -> None:
    put(db, queue)
    db.execute(end.encode())
    assert causes(db, queue, 1) == [cause]


def test_dead_and_replayed_and_never_sent(db: Database, queue: str) -> None:
    letter = bury(db, queue, 7)
    db.execute(b"select setval('pgmq.\"q_re-size_msg_id_seq\"', 9)")
    found = first(db, queue, 7)
    assert (found["cause"], found["detail"]["letter_id"]) == ("dead", letter)
    db.execute(b"select postmill.replay('re-size')")
    replayed = first(db, queue, 7)
    assert (replayed["cause"], replayed["detail"]["msg_id"]) == ("replayed", 10)
    assert first(db, queue, 11)["said"] == "no message has had this id yet: the last one is 10"


def test_several_causes_the_first_to_decide_first(db: Database, queue: str) -> None:
    db.execute(b"select postmill.pause('re-size')")
    delayed = put(db, queue, "'2087-01-02 12:00+00'")
    assert causes(db, queue, delayed) == ["delayed", "paused", "no_worker"]


def test_no_such_queue(db: Database) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(b"select postmill.why('nope', 1)")


def test_a_message_with_the_short_form_of_its_cause(db: Database, queue: str) -> None:
    """What a list says is the first cause in the same words."""
    db.execute(b"update postmill.queues set group_max_running = 1")
    hold(db, queue)
    said: list[Any] = []
    for message in (put(db, queue, "'2087-01-02'"), park(db, queue), block(db, queue, ("mail", 4))):
        gate(db, queue, message) if not said else None
        said.append(value(db, "select waits_for from postmill.messages('re-size', only_id => $1)", message))
        assert said[-1] == first(db, queue, message)["said"]


def test_it_takes_a_few_milliseconds_however_full_the_queue_is(db: Database, queue: str) -> None:
    """30,000 are before it, and 30,000 dead rows that no vacuum has removed; it reads at most 10,000 ids."""
    live(db, queue)
    fill = b"insert into pgmq.\"q_re-size\" (vt, message) select now(), '1' from generate_series(1, 30000)"
    db.execute(fill)
    db.execute(b'delete from pgmq."q_re-size"')
    db.execute(fill)
    blocks = "select sum(pg_stat_get_xact_blocks_fetched(oid)) from pg_class where relname like '%re-size%'"
    for message, said in ((60_000, "behind more than 1000 others that are ready"), (30_001, LOOKS)):
        with db.transaction():
            before = value(db, blocks)
            began = time.perf_counter()
            found = first(db, queue, message)
            took_s = time.perf_counter() - began
            assert value(db, blocks) - before < 1_000
        assert found["said"] == said
        assert took_s < 1
