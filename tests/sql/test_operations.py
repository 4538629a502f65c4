"""Operations: one thing done to many messages, a page at a time, by the functions that do it to one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.asking import Database, bury, claim, column, fail, refused, row, rows, value
from tests.sql.flow_scene import register, step

if TYPE_CHECKING:
    from collections.abc import Callable

START = "select postmill.start_operation($1, 're-size', $2::jsonb)"
IDS = 'select msg_id from pgmq."q_re-size" order by 1'


def send(db: Database, many: int, **more: Any) -> None:
    """Messages {"n": 1}, {"n": 2}, …"""
    db.execute(
        b"select postmill.send_batch('re-size', array(select jsonb_build_object('n', n) "
        b"from generate_series(1, $1::integer) n))",
        [many],
    )


def carry_out(db: Database, kind: str, condition: Any = None, page: int = 500) -> dict[str, Any]:
    """Start it, take every page, and return how it stands."""
    operation = value(db, START, kind, json.dumps(condition or {}))
    steps(db, operation, page)
    return stands(db, operation)


def steps(db: Database, operation: int, page: int = 500) -> int:
    """Take pages until none is due."""
    taken = 0
    while rows(db, "select * from postmill._step_operation($1, $2)", operation, page):
        taken += 1
    return taken


def stands(db: Database, operation: int) -> dict[str, Any]:
    return row(
        db,
        "select state, done, skipped, failed, busy, error from postmill.operations where operation_id = $1",
        operation,
    )


def outcomes(db: Database) -> dict[int, Any]:
    found = rows(db, "select id, outcome, detail from postmill.operation_rows order by id")
    return {each["id"]: (each["outcome"], each["detail"]) for each in found}


def done(many: int, **others: Any) -> dict[str, Any]:
    return {"state": "done", "done": many, "skipped": 0, "failed": 0, "busy": 0, "error": None} | others


@pytest.mark.parametrize("page", [1, 7, 500])
def test_a_cancel_takes_out_all_that_was_there(db: Database, queue: str, page: int) -> None:
    send(db, 20)
    operation = value(db, START, "cancel", "{}")
    send(db, 3)
    steps(db, operation, page)
    assert stands(db, operation) == done(20)
    assert column(db, IDS) == [21, 22, 23]
    kept = column(db, "select message ->> 'n' from postmill.cancellations order by msg_id")
    assert kept == [str(n) for n in range(1, 21)]
    assert column(db, "select distinct reason from postmill.cancellations") == [f"operation {operation}"]
    assert value(db, "select count(*) from postmill.operation_rows where outcome = 'cancelled'") == 20


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1, 2, 3, 4, 5, 6]),
    ({"ids": [2, 5, 99]}, [2, 5]),
    ({"payload": {"n": 3}}, [3]),
    ({"headers": {"h": {"x": 1}}}, [6]),
    ({"state": ["scheduled"]}, [6]),
    ({"state": ["running"]}, [2]),
    ({"state": ["retrying", "running"]}, [2, 3]),
    ({"state": ["waiting"]}, [4]),
    ({"state": ["ready"], "ids": [1, 2]}, [1]),
    ({"error": "no ROUTE"}, [3]),
    ({"error": "valueerror"}, [1, 3]),
    ({"since": "2020-01-01T00:00Z"}, [1, 2, 3, 4, 6]),
    ({"until": "2020-01-01T00:00Z"}, [5]),
]


@pytest.mark.parametrize(("condition", "ids"), FILTERS, ids=[json.dumps(each) for each, _ in FILTERS])
def test_a_dry_run_and_the_operation_mean_the_same(
    db: Database, queue: str, condition: dict[str, Any], ids: list[int]
) -> None:
    send(db, 5)
    db.execute(b"select postmill.send('re-size', '{}', interval '1 hour', headers => '{\"h\": {\"x\": 1}}')")
    claim(db, queue, 2)
    fail(db, queue, 3, "No route to host")
    fail(db, queue, 1, "late")
    db.execute(
        b"update pgmq.\"q_re-size\" set read_ct = 1, vt = clock_timestamp() + interval '1 hour' "
        b"where msg_id = 3"
    )
    db.execute(b'update pgmq."q_re-size" set vt = postmill._parked_until() where msg_id = 4')
    db.execute(b"insert into postmill.blocked values ('re-size', 4, 1, clock_timestamp())")
    db.execute(b"update pgmq.\"q_re-size\" set enqueued_at = '2019-01-01' where msg_id = 5")

    plan = row(
        db, "select * from postmill.plan_operation('cancel', 're-size', $1::jsonb)", json.dumps(condition)
    )
    assert plan == {"matching": len(ids), "upper_id": 6, "complete": True}
    carry_out(db, "cancel", condition, page=2)
    assert list(outcomes(db)) == ids


def test_letters_are_replayed_and_discarded_by_the_same_filter(db: Database, queue: str) -> None:
    letters = [bury(db, queue, msg_id, f'{{"n": {msg_id}}}', '{"h": 1}') for msg_id in range(11, 16)]
    db.execute(b"update postmill.dead_letters set reason = 'No route' where letter_id = $1", [letters[0]])
    assert carry_out(db, "replay", {"error": "no route"}) == done(1)
    assert outcomes(db) == {letters[0]: ("replayed", "1")}
    assert column(db, "select replayed_by = session_user from postmill.dead where replayed_as = 1") == [True]
    assert carry_out(db, "discard", {"payload": {"n": 12}, "headers": {"h": 1}, "state": ["dead"]}) == done(1)
    assert carry_out(db, "discard", {"ids": letters[:3]}) == done(1)
    assert carry_out(db, "replay") == done(2)
    assert column(db, "select msg_id from postmill.dead where replayed_at is null") == []
    assert column(db, "select message ->> 'n' from pgmq.\"q_re-size\" order by msg_id") == ["11", "14", "15"]


def test_what_runs_is_asked_to_stop_and_never_made_ready(db: Database, queue: str) -> None:
    send(db, 2)
    claim(db, queue, 2)
    assert carry_out(db, "retry") == done(1, skipped=1)
    assert outcomes(db) == {1: ("ready", None), 2: ("running", None)}
    assert carry_out(db, "cancel") == done(2)
    assert column(db, IDS) == [2]
    assert column(db, "select msg_id from postmill.cancellations where cancelled_at is null") == [2]


def test_what_another_session_holds_is_tried_once_more(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    send(db, 6)
    other = connect()
    operation = value(db, START, "cancel", "{}")
    with other.transaction():
        other.execute(b'select from pgmq."q_re-size" where msg_id in (2, 3) for update')
        assert value(db, "select done from postmill._step_operation($1)", operation) == 4
        other.execute(b'delete from pgmq."q_re-size" where msg_id = 3')
    assert stands(db, operation) == done(4, state="running", busy=2)
    steps(db, operation)
    assert stands(db, operation) == done(5, skipped=1)
    assert outcomes(db)[3] == ("gone", None)


def test_what_is_held_to_the_end_stays_and_is_told(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    send(db, 3)
    other = connect()
    with other.transaction():
        other.execute(b'select from pgmq."q_re-size" where msg_id = 2 for update')
        assert carry_out(db, "cancel") == done(2, busy=1)
    assert outcomes(db)[2] == ("busy", None)
    assert column(db, IDS) == [2]


def test_what_changed_before_it_was_held_is_left_alone(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """A trigger on the look at claims would be too late: the lock waits for nothing. So the row changes in
    between by a function in the place of the one that locks.
    """
    send(db, 2)
    db.execute(
        b"""
        alter function postmill._hold(text, boolean, bigint[]) rename to _really_hold;
        create function postmill._hold(queue text, letters boolean, ids bigint[]) returns bigint[]
        language plpgsql volatile as $$
        begin
            update pgmq."q_re-size" set message = '{"n": 7}' where msg_id = 1;
            return postmill._really_hold(queue, letters, ids);
        end $$
        """
    )
    assert carry_out(db, "cancel", {"payload": {"n": 1}}) == done(0)
    assert column(db, IDS) == [1, 2]


def test_a_task_of_a_run_is_refused_as_a_single_cancel_refuses_it(db: Database, queue: str) -> None:
    send(db, 1)
    register(db, step("a"), flow="re-size")
    run = value(db, "select postmill.start_flow('re-size', '{}')")
    task = column(db, IDS)[-1]
    with refused("PM005", "a task of run"):
        db.execute(b"select postmill.cancel('re-size', $1)", [task])
    assert carry_out(db, "cancel") == done(1, skipped=1)
    assert outcomes(db)[task] == ("refused", f"a task of run {run}")
    assert value(db, "select state from postmill.runs") == "running"


def test_what_waits_for_cancelled_messages_follows(db: Database, queue: str) -> None:
    first = value(db, "select postmill.send('re-size', '1')")
    after = f"select postmill.send('re-size', '2', after => array['re-size:{first}'], on_source_dead => $1)"
    waits, goes_on = (value(db, after, fate) for fate in ("cancel", "skip"))
    then = value(
        db, "select postmill.send('re-size', '3', else_send => '{\"queue\": \"re-size\", \"message\": 4}')"
    )
    assert carry_out(db, "retry", {"ids": [waits]}) == done(0, skipped=1)
    assert carry_out(db, "cancel", {"ids": [first, then]}) == done(2)
    gone = column(db, "select msg_id from postmill.cancelled order by 1")
    assert gone == sorted([first, then, waits])
    left = column(db, 'select message from pgmq."q_re-size" where vt <= clock_timestamp() order by msg_id')
    assert left == [2, 4]
    assert goes_on in column(db, IDS)
    assert rows(db, "select from postmill.edges union all select from postmill.blocked") == []


def test_a_move_takes_along_what_the_message_asked_for(db: Database, queue: str) -> None:
    db.execute(b"select postmill.create_queue('slow')")
    db.execute(b"select postmill.send('slow', '0', unique_key => 'taken')")
    keyed = (
        "select postmill.send('re-size', $1::jsonb, unique_key => $2, priority => 3, headers => '{\"h\": 1}')"
    )
    value(db, keyed, "1", "free")
    value(db, keyed, "2", "taken")
    value(db, "select postmill.send('re-size', '3', interval '1 hour')")
    value(db, "select postmill.send('re-size', '4')")
    value(db, "select postmill.send('re-size', '5', after => array['re-size:4'])")
    operation = value(db, "select postmill.start_operation('move', 're-size', target => 'slow')")
    steps(db, operation)
    assert stands(db, operation) == done(2, skipped=3)
    assert {number: outcome for number, (outcome, _) in outcomes(db).items()} == {
        1: "moved", 2: "skipped", 3: "moved", 4: "refused", 5: "refused",
    }  # fmt: skip
    moved = row(db, "select headers from pgmq.q_slow where message = '1'")["headers"]
    assert moved == {"h": 1, "postmill-priority": 3, "postmill-unique-key": "free"}
    assert value(db, "select vt > clock_timestamp() + interval '50 min' from pgmq.q_slow where message = '3'")
    assert column(db, IDS) == [2, 4, 5]


def test_one_that_the_database_refuses_keeps_no_other(db: Database, queue: str) -> None:
    send(db, 5)
    db.execute(
        b"""
        create function refuse() returns trigger language plpgsql as $$
        begin if old.msg_id = 3 then raise 'not this one'; end if; return old; end $$;
        create trigger refuse before delete on pgmq."q_re-size" for each row execute function refuse();
        """
    )
    assert carry_out(db, "cancel") == done(4, failed=1)
    assert outcomes(db)[3] == ("failed", "not this one")
    assert column(db, IDS) == [3]


def test_a_rate_is_kept(db: Database, queue: str) -> None:
    send(db, 10)
    operation = value(db, "select postmill.start_operation('cancel', 're-size', per_second => 4)")
    step = row(db, "select done, next_in_s from postmill._step_operation()")
    assert step["done"] == 2
    assert 0.3 < step["next_in_s"] <= 0.5
    assert rows(db, "select * from postmill._step_operation()") == []
    db.execute(b"update postmill.operations set next_at = '-infinity'")
    assert value(db, "select done from postmill._step_operation()") == 4
    assert value(db, "select postmill.abort_operation($1)", operation) == "aborted"
    db.execute(b"update postmill.operations set next_at = '-infinity'")
    assert rows(db, "select * from postmill._step_operation()") == []
    assert len(column(db, IDS)) == 6


def test_the_same_key_starts_nothing_twice(db: Database, queue: str) -> None:
    keyed = "select postmill.start_operation($1, 're-size', idempotency_key => 'k')"
    first = value(db, keyed, "cancel")
    assert value(db, keyed, "cancel") == first
    with refused("PM005", f"belongs to operation {first}"):
        value(db, keyed, "retry")


@pytest.mark.parametrize(
    ("kind", "condition", "says"),
    [
        ("purge", "{}", "no operation 'purge'"),
        ("move", "{}", "needs another queue"),
        ("cancel", "[]", "no object"),
        ("cancel", '{"id": 1}', "id is no key of it"),
        ("cancel", '{"ids": 1}', "ids is an array"),
        ("cancel", '{"ids": ["1"]}', "ids is an array"),
        ("cancel", '{"ids": [1.5]}', "ids is an array"),
        ("cancel", '{"state": "ready"}', "state is an array"),
        ("cancel", '{"headers": 1}', "headers is an object"),
        ("cancel", '{"since": "tomorrow-ish"}', "are moments"),
        ("cancel", '{"error": null}', "error is a text"),
    ],
)
def test_refuses_what_can_not_be(db: Database, queue: str, kind: str, condition: str, says: str) -> None:
    with refused("PM003", says):
        value(db, START, kind, condition)


def test_ids_are_at_most_ten_thousand(db: Database, queue: str) -> None:
    with refused("PM003", "10,000"):
        value(db, START, "cancel", json.dumps({"ids": list(range(10_001))}))


def test_a_queue_that_is_dropped_ends_its_operations(db: Database, queue: str) -> None:
    """Its ids start again: an operation that went on would meet other messages."""
    send(db, 3)
    operation = value(db, START, "cancel", "{}")
    db.execute(b"select postmill.drop_queue('re-size'); select postmill.create_queue('re-size')")
    send(db, 3)
    assert steps(db, operation) == 0
    assert stands(db, operation) == done(0, state="failed", error="the queue was dropped")
    assert len(column(db, IDS)) == 3
    other = value(db, START, "cancel", "{}")
    db.execute(b"select pgmq.drop_queue('re-size')")
    steps(db, other)
    assert stands(db, other)["error"] == "there is no queue 're-size'"
    with refused("PM013", "no operation 99"):
        value(db, "select postmill.abort_operation(99)")
