"""Each action on a run in each state, and what it leaves."""

from __future__ import annotations

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
    steps,
    take,
    take_one,
    tasks,
)

if TYPE_CHECKING:
    from collections.abc import Callable

STATES = ("running", "paused", "undoing", "completed", "failed", "cancelled")
OUTCOMES: dict[str, dict[str, tuple[bool | str, str]]] = {
    # action: state before: (what is returned, or the word of the refusal; state after)
    "cancel_run": {
        "running": (True, "cancelled"),
        "paused": (True, "cancelled"),
        "undoing": (True, "cancelled"),
        "completed": (False, "completed"),
        "failed": (False, "failed"),
        "cancelled": (False, "cancelled"),
    },
    "pause_run": {
        "running": (True, "paused"),
        "paused": (False, "paused"),
        "undoing": ("can't be paused", "undoing"),
        "completed": ("can't be paused", "completed"),
        "failed": ("can't be paused", "failed"),
        "cancelled": ("can't be paused", "cancelled"),
    },
    "resume_run": {
        "running": (False, "running"),
        "paused": (True, "running"),
        "undoing": (False, "undoing"),
        "completed": ("can't be resumed", "completed"),
        "failed": ("can't be resumed", "failed"),
        "cancelled": ("can't be resumed", "cancelled"),
    },
    "retry_run": {
        "running": (False, "running"),
        "paused": (False, "paused"),
        "undoing": ("can't be retried", "undoing"),
        "completed": ("can't be retried", "completed"),
        "failed": (True, "running"),
        "cancelled": (True, "running"),
    },
}


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("action", OUTCOMES)
def test_each_action_in_each_state(db: Database, action: str, before: str) -> None:
    run = make(db, before)
    outcome, after = OUTCOMES[action][before]
    call = f"select postmill.{action}($1)"
    if isinstance(outcome, str):
        with refused("PM012", outcome):
            db.execute(call.encode(), [run])
    else:
        assert value(db, call, run) is outcome
    assert state(db, run) == after


@pytest.mark.parametrize("action", [*OUTCOMES, "fork_run", "export_run"])
def test_a_run_that_is_not_there(db: Database, action: str) -> None:
    with refused("PM009", "there is no run 99"):
        db.execute(f"select postmill.{action}(99)".encode())


def test_a_cancelled_run_says_by_whom_and_nothing_of_it_goes_on(db: Database) -> None:
    register(db, step("a"), step("b", "a"))
    run = start(db)
    (task,) = take(db)
    assert value(db, "select postmill.cancel_run($1, 'not wanted')", run)
    settle(db, task)
    found = run_of(db, run)
    assert found["reason"] == f"cancelled by {value(db, 'select session_user')}: not wanted"
    assert found["blocked"] is None
    assert steps(db, run) == {"a": "completed", "b": "cancelled"}
    assert tasks(db) == []


def test_what_a_cancelled_run_has_started_is_cancelled_and_its_parent_is_told(db: Database) -> None:
    parent, outsider = make(db, "running"), make(db, "running")
    child, grandchild = (make(db, "running", flow=flow) for flow in ("child", "grandchild"))
    family = "update postmill.runs set parent_run = $2, parent_step = 'a' where run_id = $1"
    for young, old in ((child, parent), (grandchild, child), (parent, outsider)):
        db.execute(family.encode(), [young, old])
    take(db)
    db.execute(b"select postmill.cancel_run($1)", [parent])
    assert [state(db, run) for run in (parent, child, grandchild, outsider)] == [
        *["cancelled"] * 3,
        "running",
    ]
    assert {"run": outsider, "step": "a", "child": parent} in tasks(db)


def test_tasks_of_a_paused_run_are_held_and_sent_again(db: Database) -> None:
    register(db, step("a"), step("b", "a"), step("c"))
    run = start(db, priority=3)
    first, other = take(db)
    db.execute(b"select postmill.pause_run($1, 'the shop is closed')", [run])
    settle(db, first)  # what runs goes on, and its outcome counts
    (follower,) = take(db)
    for task in (other, follower):
        hold(db, task, "paused")
    assert tasks(db) == []
    assert run_of(db, run)["blocked"].endswith(": the shop is closed")
    assert value(db, "select postmill.resume_run($1)", run)
    assert tasks(db) == [other, follower]
    assert value(db, """select min(headers ->> 'postmill-priority') from pgmq.q_shop""") == "3"
    finish(db)
    assert state(db, run) == "completed"


def test_a_task_that_is_held_after_its_run_was_resumed_is_sent_again(db: Database) -> None:
    run = make(db, "running")
    hold(db, {"run": run, "step": "a"}, "paused")
    assert tasks(db) == [{"run": run, "step": "a"}]


def test_a_retried_run_starts_what_failed_and_what_was_cancelled(db: Database) -> None:
    register(db, step("a"), step("b"), step("c"), step("d", "a", "b", "c"))
    run = start(db)
    a, b, _ = take(db)
    settle(db, a, 1)
    fail(db, b)
    assert steps(db, run) == {"a": "completed", "b": "failed", "c": "cancelled", "d": "cancelled"}
    assert run_of(db, run)["culprit"] == "b"
    assert value(db, "select postmill.retry_run($1)", run)
    assert sorted(task["step"] for task in tasks(db)) == ["b", "c"]
    finish(db)
    assert (state(db, run), run_of(db, run)["culprit"]) == ("completed", None)


def test_what_ended_after_its_run_had_failed_counts_when_it_is_retried(db: Database) -> None:
    """A step of a failed run ended late: nothing followed then, and the retried run must not wait for it."""
    register(db, step("a"), step("b"), step("c", "a", "b"))
    run = start(db)
    a, b = take(db)
    fail(db, b)
    settle(db, a)
    db.execute(b"select postmill.retry_run($1)", [run])
    assert tasks(db) == [b]
    finish(db)
    assert steps(db, run) == {"a": "completed", "b": "completed", "c": "completed"}
    assert state(db, run) == "completed"


@pytest.mark.parametrize("window", [None, 2])
def test_of_a_failed_map_only_what_has_not_succeeded_is_tried_again(db: Database, window: int | None) -> None:
    register(db, step("list"), map_over("each", "list"), each={"window": window} if window else {})
    run = start(db)
    settle(db, take_one(db), ["x", "y", "z"])
    first, second, *_ = take(db)
    settle(db, first, "X")
    fail(db, second)
    take(db)
    db.execute(b"select postmill.retry_run($1)", [run])
    assert [(task["item"], task["value"]) for task in tasks(db)] == [(1, "y"), (2, "z")]
    finish(db)
    assert state(db, run) == "completed"
    output = "select postmill._output(s) from postmill.steps s where run_id = $1 and step = 'each'"
    assert value(db, output, run) == ["X", "y", "z"]


@pytest.mark.parametrize("window", [None, 2])
def test_a_retry_takes_back_what_still_waits(db: Database, window: int | None) -> None:
    """Each item that had not run yet was done twice, and the timer of before ended what had begun anew."""
    register(
        db,
        step("each", kind="map", over={"of": "input", "path": []}),
        step("w", kind="wait", signal="s"),
        each={"window": window} if window else {},
        w={"timeout_s": 60},
    )
    run, other = start(db, ["x", "y", "z"]), start(db, ["x"])
    forged = value(db, "select postmill.send('shop', $1::text::jsonb)", f'{{"run": {run}, "step": "none"}}')
    before = column(db, "select msg_id from pgmq.q_shop where message ->> 'run' = $1::text", run)
    fail(db, {"run": run, "step": "each", "item": 0})
    assert value(db, "select postmill.retry_run($1)", run)
    assert [(task["step"], task.get("item")) for task in tasks(db) if task["run"] == run] == [
        ("none", None),
        *(("each", item) for item in range(window or 3)),
        ("w", None),
    ]
    kept = column(db, "select msg_id from pgmq.q_shop where msg_id = any ($1)", before)
    assert kept == [forged]
    assert len([task for task in tasks(db) if task["run"] == other]) == 2


def test_a_retry_leaves_what_is_being_settled(db: Database, connect: Callable[[], Database]) -> None:
    """Settlements lock their messages before the run: a retry that waited for one would wait for ever."""
    register(db, step("a"), step("b"))
    run = start(db)
    db.execute(b"delete from pgmq.q_shop where message ->> 'step' = 'a'")
    fail(db, {"run": run, "step": "a", "item": None})
    settling = connect()
    with settling.transaction():
        settling.execute(b"delete from pgmq.q_shop where message ->> 'step' = 'b'")
        assert value(db, "select postmill.retry_run($1)", run)
        assert sorted(task["step"] for task in tasks(db)) == ["a", "b", "b"]
        settle(settling, {"run": run, "step": "b", "item": None})
    assert steps(db, run) == {"a": "started", "b": "completed"}


def test_a_retried_run_keeps_decisions(db: Database) -> None:
    """A step that was skipped, with what needs it, stays so; and a map without items that depends on it."""
    no = {"of": "a", "path": [], "equals": "no"}
    register(
        db,
        step("a"),
        step("b", "a", when=no, on_unmet="skip_cascade"),
        step("c", "b"),
        step("d", "a"),
        step("e", "c", "d"),
    )
    run = start(db)
    settle(db, take_one(db), "yes")
    fail(db, take_one(db))
    db.execute(b"select postmill.retry_run($1)", [run])
    finish(db)
    assert steps(db, run) == {
        "a": "completed",
        "b": "skipped",
        "c": "skipped",
        "d": "completed",
        "e": "skipped",
    }
    assert state(db, run) == "completed"


def test_what_was_undone_is_done_again_with_what_came_after_it(db: Database) -> None:
    register(
        db,
        step("charge", compensates=True),
        step("pack", "charge"),
        step("mail"),
        step("ship", "pack", "mail"),
    )
    run = start(db)
    for task in take(db):
        settle(db, task)
    settle(db, take_one(db))
    fail(db, take_one(db))
    assert take_one(db) == {"run": run, "step": "charge", "undo": True}
    db.execute(b"select postmill._end_undo(array[$1::bigint], array['charge'], array[null])", [run])
    db.execute(b"select postmill.retry_run($1)", [run])
    assert steps(db, run) == {"charge": "started", "pack": "waiting", "mail": "completed", "ship": "waiting"}
    finish(db)
    assert state(db, run) == "completed"


def test_what_could_not_be_undone_stays_done(db: Database) -> None:
    register(db, step("charge", compensates=True), step("ship", "charge"))
    run = start(db)
    settle(db, take_one(db))
    fail(db, take_one(db))
    take(db)
    db.execute(b"select postmill._end_undo($1, '{charge}', '{no}')", [[run]])
    assert state(db, run) == "failed"
    db.execute(b"select postmill.retry_run($1)", [run])
    assert value(db, "select reason is null from postmill.steps where run_id = $1 and step = 'charge'", run)
    assert tasks(db) == [{"run": run, "step": "ship"}]


def test_a_retried_run_retries_the_run_that_it_waits_for(db: Database) -> None:
    register(db, step("sub", kind="run"))
    register(db, step("a"), flow="child")
    parent = start(db)
    child = start(db, flow="child")
    db.execute(
        b"update postmill.runs set parent_run = $1, parent_step = 'sub' where run_id = $2", [parent, child]
    )
    take(db)
    fail(db, take_one(db, "child"))
    fail(db, take_one(db))
    assert (state(db, parent), state(db, child)) == ("failed", "failed")
    db.execute(b"select postmill.retry_run($1)", [parent])
    assert (state(db, parent), state(db, child)) == ("waiting", "running")
    assert (tasks(db), len(tasks(db, "child"))) == ([], 1)  # the child's end will be told
    finish(db, "child")
    assert tasks(db) == [{"run": parent, "step": "sub", "child": child}]


def test_a_deadline_that_is_over_is_taken_off_a_retried_run(db: Database) -> None:
    run = make(db, "running")
    db.execute(
        b"update postmill.runs set deadline = clock_timestamp() - interval '1 s' where run_id = $1", [run]
    )
    assert value(db, "select postmill.sweep_flows()") is False
    assert (state(db, run), run_of(db, run)["reason"]) == ("failed", "its deadline was over")
    db.execute(b"select postmill.retry_run($1)", [run])
    assert run_of(db, run)["deadline"] is None
    assert value(db, "select postmill.sweep_flows()") is False
    assert state(db, run) == "running"


@pytest.mark.parametrize("priorities", [(7, 3), (3, None)])
def test_a_task_that_was_held_has_its_priority_when_it_is_sent_again(
    db: Database, priorities: tuple[int, int | None]
) -> None:
    """It had its run's, and one that was held too late none: the step's own was forgotten."""
    of_run, of_step = priorities
    chosen: dict[str, Any] = {} if of_step is None else {"a": {"priority": of_step}}
    register(db, step("a"), **chosen)
    run = start(db, priority=of_run)
    headers = "select headers from pgmq.q_shop"
    wanted = [{"headers": {"postmill-priority": of_run if of_step is None else of_step}}]
    assert rows(db, headers) == wanted
    db.execute(b"select postmill.pause_run($1)", [run])
    hold(db, take_one(db), "paused")
    db.execute(b"select postmill.resume_run($1)", [run])
    assert rows(db, headers) == wanted
    hold(db, take_one(db), "paused")
    assert rows(db, headers) == wanted
