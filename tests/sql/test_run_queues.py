"""What becomes of runs when their messages or their queue are taken away."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.asking import Database, column, refused, rows, value
from tests.sql.flow_scene import (
    fail,
    finish,
    hold,
    make,
    map_over,
    register,
    run_of,
    settle,
    start,
    state,
    step,
    take,
    take_one,
    tasks,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def sweep(db: Database) -> None:
    """One look of the keeper, with the audit due."""
    db.execute(b"update postmill.flow_audit set due_at = '-infinity'")
    while value(db, "select postmill.sweep_flows()"):
        pass


def test_a_purge_cancels_the_runs_of_its_messages(db: Database) -> None:
    run, other = make(db, "running"), make(db, "running", flow="other")
    start(db)
    for message in ('{"run": "run"}', '"run"', "[1]", f'{{"run": {other}, "step": "a"}}'):
        db.execute(b"select postmill.send('shop', $1::text::jsonb)", [message])
    db.execute(b"select postmill.send('shop', $1::text::jsonb)", [f'{{"run": {run}, "step": "a"}}'])
    assert value(db, "select postmill.purge_queue('shop')") == 6
    assert [state(db, each) for each in (run, other, run + 2)] == ["cancelled", "running", "cancelled"]
    assert run_of(db, run)["reason"].endswith(": queue shop was purged")


def test_a_purge_leaves_runs_whose_task_has_ended(db: Database) -> None:
    """A message that is doubled or forged is no reason to cancel a run."""
    register(db, step("a"), step("b", "a", kind="wait", signal="s"))
    run = start(db)
    settle(db, take_one(db))
    db.execute(b"select postmill.send('shop', $1::text::jsonb)", [f'{{"run": {run}, "step": "a"}}'])
    assert value(db, "select postmill.purge_queue('shop')") == 1
    assert state(db, run) == "waiting"


def test_a_task_can_not_be_cancelled_by_its_message(db: Database) -> None:
    register(db, step("a"))
    run = start(db)
    msg_id = value(db, "select msg_id from pgmq.q_shop")
    with refused("PM005", f"is a task of run {run}"):
        db.execute(b"select postmill.cancel('shop', $1)", [msg_id])
    db.execute(b"select postmill.cancel_run($1)", [run])
    assert value(db, "select postmill.cancel('shop', $1)", msg_id) == "cancelled"


def test_a_queue_of_live_runs_is_dropped_by_force_only(db: Database) -> None:
    run = make(db, "running")
    with refused("PM005", "has tasks of 1 runs that have not ended"):
        db.execute(b"select postmill.drop_queue('shop')")
    db.execute(b"select postmill.drop_queue('shop', force => true)")
    assert state(db, run) == "cancelled"
    assert run_of(db, run)["reason"].endswith(": queue shop was dropped")


def test_a_queue_of_a_single_step_counts_too(db: Database) -> None:
    register(db, step("a"), a={"queue": "slow"})
    start(db)
    with refused("PM005", "has tasks of 1 runs"):
        db.execute(b"select postmill.drop_queue('slow')")


def test_a_queue_whose_runs_have_ended_is_dropped(db: Database) -> None:
    make(db, "completed")
    db.execute(b"select postmill.drop_queue('shop')")


def test_a_drop_waits_for_a_settlement_that_holds_the_run_and_wants_the_table(
    db: Database, connect: Callable[[], Database]
) -> None:
    """A settlement of another queue held the run and sent here: it and the drop, which had locked the table,
    waited for each other.
    """
    register(db, step("a"), step("b", "a"), a={"queue": "other"})
    run = start(db)
    (task,) = take(db, "other")
    settling, dropping = connect(), connect()
    with ThreadPoolExecutor(1) as pool:
        with settling.transaction():
            settle(settling, task)  # holds the run, and a lock on the table of b's task
            dropped = pool.submit(dropping.execute, b"select postmill.drop_queue('shop', force => true)")
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and pid = $1"
            while not value(db, waiting, dropping.info.backend_pid):
                assert not dropped.done()
        dropped.result()
    assert state(db, run) == "cancelled"


LOST = {"a step": [step("a")], "an item of a map": [step("l"), map_over("a", "l")]}


@pytest.mark.parametrize("window", [None, 2])
@pytest.mark.parametrize("kind", LOST)
def test_a_run_whose_message_was_deleted_elsewhere_fails(db: Database, kind: str, window: int | None) -> None:
    register(db, *LOST[kind], a={"window": window} if window else {})
    run, fine = start(db), start(db)
    if kind != "a step":
        for task in take(db):
            settle(db, task, [1, 2, 3])
        settle(db, next(task for task in tasks(db) if task["run"] == fine), 1)
        db.execute(
            b"delete from pgmq.q_shop where message @> $1::text::jsonb", [f'{{"run": {fine}, "item": 0}}']
        )
    sweep(db)
    assert (state(db, run), state(db, fine)) == ("running", "running")
    lost = f'{{"run": {run}, "step": "a"}}'
    db.execute(
        b"delete from pgmq.q_shop where msg_id = "
        b"(select min(msg_id) from pgmq.q_shop where message @> $1::text::jsonb)",
        [lost],
    )
    sweep(db)
    assert (state(db, run), state(db, fine)) == ("failed", "running")
    found = run_of(db, run)
    assert (found["culprit"], found["reason"]) == ("a", "message deleted elsewhere")


def test_a_run_whose_queue_was_dropped_elsewhere_fails(db: Database) -> None:
    register(db, step("a"))
    run = start(db)
    db.execute(b"select pgmq.drop_queue('shop')")
    sweep(db)
    assert (state(db, run), run_of(db, run)["reason"]) == ("failed", "queue shop is gone")


def test_what_waits_or_is_held_is_not_lost(db: Database) -> None:
    register(db, step("w", kind="wait", signal="s"), step("a"), step("z", kind="sleep"), z={"delay_s": 60})
    run, stranded = start(db), start(db)
    db.execute(b"select postmill.pause_run($1)", [run])
    for task in take(db):
        if task["run"] == run or task["step"] == "a":
            hold(db, task, "paused" if task["run"] == run else "version")
    sweep(db)
    assert (state(db, run), state(db, stranded)) == ("paused", "failed")
    assert run_of(db, stranded)["culprit"] == "z"


def test_a_step_that_waits_for_another_run_is_not_lost(db: Database) -> None:
    register(db, step("sub", kind="run"))
    child, parent = make(db, "running", flow="child"), start(db)
    db.execute(
        b"update postmill.runs set parent_run = $1, parent_step = 'sub' where run_id = $2", [parent, child]
    )
    take(db)
    db.execute(b"select postmill.send('child', $1::text::jsonb)", [f'{{"run": {child}, "step": "a"}}'])
    sweep(db)
    assert state(db, parent) == "waiting"
    finish(db, "child")
    assert [task["child"] for task in tasks(db)] == [child]
    take(db)  # its message is deleted elsewhere
    sweep(db)
    assert state(db, parent) == "failed"


@pytest.mark.parametrize("end", ["deadline", "fail", "cancel"])
def test_a_child_is_cancelled_once_its_parent_has_failed(db: Database, end: str) -> None:
    """It went on to its end, for nobody. A retry of the parent takes it along."""
    register(db, step("sub", kind="run"), step("a"))
    child, parent, other = make(db, "running", flow="child"), start(db), start(db, flow="child")
    db.execute(
        b"update postmill.runs set parent_run = $1, parent_step = 'sub' where run_id = $2", [parent, child]
    )
    db.execute(b"select postmill.send('child', $1::text::jsonb)", [f'{{"run": {child}, "step": "a"}}'])
    sweep(db)
    assert (state(db, parent), state(db, child)) == ("running", "running")
    if end == "deadline":
        db.execute(b"update postmill.runs set deadline = '-infinity' where run_id = $1", [parent])
    elif end == "fail":
        fail(db, take(db)[-1])
    else:
        db.execute(
            b"update postmill.runs set state = 'cancelled', ended_at = now() where run_id = $1", [parent]
        )
    sweep(db)
    assert [state(db, each) for each in (child, other)] == ["cancelled", "running"]
    assert "the run that waited for it has failed" in run_of(db, child)["reason"]
    assert value(db, "select postmill.retry_run($1)", parent)
    assert (state(db, parent), state(db, child)) == ("running", "running")


def test_a_child_that_undoes_what_it_has_done_goes_on_with_that(db: Database) -> None:
    """The end of its parent cancelled it half-way: what it had booked was never given back."""
    register(db, step("sub", kind="run"))
    register(db, step("a", compensates=True), step("b", "a"), flow="child")
    parent, child = start(db), start(db, flow="child")
    db.execute(
        b"update postmill.runs set parent_run = $1, parent_step = 'sub' where run_id = $2", [parent, child]
    )
    settle(db, take_one(db, "child"))
    fail(db, take_one(db, "child"))
    db.execute(b"select postmill.cancel_run($1)", [parent])
    sweep(db)
    assert [state(db, each) for each in (parent, child)] == ["cancelled", "undoing"]
    db.execute(b"select postmill._end_undo($1, '{a}', '{null}')", [[child]])
    assert state(db, child) == "failed"
    assert value(db, "select postmill.retry_run($1)", parent)
    assert (state(db, parent), state(db, child)) == ("waiting", "running")


def test_the_timer_of_a_wait_is_sent_again(db: Database) -> None:
    """A wait whose timer another client had deleted was never over. One without a time limit has no timer."""
    register(db, step("w", kind="wait", signal="s"), step("x", kind="wait", signal="s"), w={"timeout_s": 60})
    run = start(db)
    due = "select message, vt from pgmq.q_shop"
    before = rows(db, due)
    take(db)
    sweep(db)
    sweep(db)
    (again,) = rows(db, due)
    assert [again["message"], state(db, run)] == [{"run": run, "flow": "shop", "step": "w"}, "waiting"]
    assert abs((again["vt"] - before[0]["vt"]).total_seconds()) < 1
    db.execute(b"select pgmq.drop_queue('shop')")
    sweep(db)
    assert (state(db, run), run_of(db, run)["reason"]) == ("failed", "queue shop is gone")


def test_what_undoes_a_step_is_sent_again(db: Database) -> None:
    register(db, step("a", compensates=True), step("b", "a"))
    run = start(db)
    settle(db, take_one(db))
    fail(db, take_one(db))
    assert (state(db, run), tasks(db)) == ("undoing", [{"run": run, "step": "a", "undo": True}])
    take(db)  # its message is deleted elsewhere
    sweep(db)
    assert (state(db, run), tasks(db)) == ("undoing", [{"run": run, "step": "a", "undo": True}])
    sweep(db)
    assert len(tasks(db)) == 1


def test_the_audit_goes_from_page_to_page_and_rests(db: Database) -> None:
    register(db, step("a"))
    runs = [start(db) for _ in range(5)]
    take(db)
    assert [value(db, "select postmill.sweep_flows(2)") for _ in range(4)] == [True, True, False, False]
    assert {state(db, run) for run in runs} == {"failed"}
    late = start(db)
    take(db)
    db.execute(b"select postmill.sweep_flows()")
    assert state(db, late) == "running"  # it was here a moment ago


def test_an_audit_beside_a_settlement_finds_nothing(db: Database, connect: Callable[[], Database]) -> None:
    """The message is deleted and its step is not completed yet: nobody else sees either."""
    register(db, step("a"), step("b", "a"))
    run = start(db)
    settling = connect()
    with settling.transaction():
        task: dict[str, Any]
        (task,) = take(settling)
        sweep(db)
        settle(settling, task)
    sweep(db)
    assert state(db, run) == "running"


def test_a_deadline_ends_whatever_has_not_ended(db: Database) -> None:
    runs = {each: make(db, each, flow=each) for each in ("running", "paused", "completed")}
    db.execute(b"update postmill.runs set deadline = clock_timestamp() - interval '1 s'")
    sweep(db)
    assert {each: state(db, run) for each, run in runs.items()} == {
        "running": "failed",
        "paused": "failed",
        "completed": "completed",
    }


def test_old_runs_are_pruned_with_all_that_is_kept_of_them(db: Database) -> None:
    register(db, step("l"), map_over("a", "l"))
    old, young, live = start(db, key="k"), start(db), start(db)
    for run in (old, young):
        for task in [each for each in tasks(db) if each["run"] == run]:
            settle(db, task, [1])
            settle(db, {"run": run, "step": "a", "item": 0}, 1)
    db.execute(b"update postmill.runs set ended_at = ended_at - interval '31 days' where run_id = $1", [old])
    db.execute(b"insert into postmill.run_events (run_id, name, value) values ($1, 'said', '1')", [old])
    assert value(db, "select postmill.prune_runs()") == 1
    for table in ("runs", "steps", "items", "run_events"):
        assert rows(db, f"select from postmill.{table} where run_id = $1", old) == []
    assert (state(db, young), state(db, live)) == ("completed", "running")
    assert start(db, key="k") > live
    assert [value(db, "select postmill.prune_runs('0 s', 1)") for _ in range(2)] == [1, 0]


def test_a_run_that_another_waits_for_is_not_pruned(db: Database) -> None:
    child, parent = make(db, "completed"), make(db, "running", flow="other")
    db.execute(b"update postmill.runs set parent_run = $1 where run_id = $2", [parent, child])
    assert value(db, "select postmill.prune_runs('0 s')") == 0
    fail(db, {"run": parent, "step": "a"})
    assert value(db, "select postmill.prune_runs('0 s')") == 2


def test_a_flow_says_how_long_its_runs_are_kept(db: Database) -> None:
    """What its newest program says counts, for runs that ended before too."""
    shape = json.dumps({"steps": [step("a")]})
    said = "select postmill.register_flow($1, 'graph', $1, $2::text::jsonb, '{}', make_interval(days => $3))"
    for flow, days in (("shop", 7), ("mail", None), ("audit", 365)):
        make(db, "completed", flow=flow)
        value(db, said, flow, shape, days)
    db.execute(b"update postmill.runs set ended_at = ended_at - interval '8 days'")
    kept = "select flow from postmill.runs order by flow"
    assert (value(db, "select postmill.prune_runs()"), column(db, kept)) == (1, ["audit", "mail"])
    db.execute(b"update postmill.runs set ended_at = ended_at - interval '23 days'")
    assert (value(db, "select postmill.prune_runs()"), column(db, kept)) == (1, ["audit"])
    assert value(db, "select postmill.prune_runs('1 day')") == 1
    with refused("PM003", "length of time"):
        value(db, said, "shop", shape, -1)


@pytest.mark.parametrize("interval", ["-1 s", "infinity"])
def test_prune_refuses_what_is_no_length_of_time(db: Database, interval: str | None) -> None:
    if interval == "infinity" and db.info.server_version < 170_000:
        pytest.skip("intervals have no infinity before PostgreSQL 17")
    with refused("PM003", "no length of time"):
        db.execute(b"select postmill.prune_runs($1::text::interval)", [interval])
