"""Steps that are runs of other flows: one child each, and its end is told to the parent."""

from __future__ import annotations

import pytest

from tests.sql.asking import Database, column, value
from tests.sql.flow_scene import (
    fail,
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
from tests.sql.test_flow_undo import undo

STARTING = "select postmill._start_children($1, $2, $3, $4)"


def begin(db: Database, run: int, *steps: str, flow: str = "child") -> int:
    """The tasks of these steps ask for their children."""
    many = len(steps)
    return int(value(db, STARTING, [run] * many, list(steps), [flow] * many, ['{"n": 1}'] * many))


def parent(db: Database) -> int:
    register(db, step("a"), flow="child")
    register(db, step("sub", kind="run"), step("next", "sub"))
    run = start(db, priority=2)
    take(db)
    return run


def test_a_child_begins_and_its_end_is_told(db: Database) -> None:
    run = parent(db)
    assert begin(db, run, "sub") == 1
    (task,) = take(db, "child")
    child = task["run"]
    found = run_of(db, child)
    assert (found["flow"], found["parent_run"]) == ("child", run)
    assert value(db, "select input from postmill.runs where run_id = $1", child) == {"n": 1}
    assert value(db, "select priority from postmill.runs where run_id = $1", child) == 2
    assert tasks(db) == []
    settle(db, task)
    assert tasks(db) == [{"run": run, "step": "sub", "child": child}]


def test_a_child_that_fails_tells_so_too(db: Database) -> None:
    run = parent(db)
    begin(db, run, "sub")
    (task,) = take(db, "child")
    fail(db, task)
    assert tasks(db) == [{"run": run, "step": "sub", "child": task["run"]}]


def test_a_step_has_one_child(db: Database) -> None:
    """In one settlement, and in two."""
    run = parent(db)
    assert begin(db, run, "sub", "sub") == 1
    assert begin(db, run, "sub") == 0
    assert len(tasks(db, "child")) == 1


def test_what_is_no_such_step_starts_nothing(db: Database) -> None:
    run = parent(db)
    assert begin(db, run, "next", "lacks") == 0
    assert begin(db, 10**12, "sub") == 0
    db.execute(b"select postmill.cancel_run($1)", [run])
    assert begin(db, run, "sub") == 0
    assert tasks(db, "child") == []


def test_a_flow_that_nobody_has_fails_the_step(db: Database) -> None:
    run = parent(db)
    assert begin(db, run, "sub", flow="lacks") == 0
    found = run_of(db, run)
    assert (found["state"], found["culprit"], found["reason"]) == (
        "failed",
        "sub",
        "there is no flow 'lacks'",
    )


def test_a_child_that_ends_at_once(db: Database) -> None:
    run = parent(db)
    register(db, step("a", when={"of": "input", "path": [], "equals": 0}), flow="empty")
    begin(db, run, "sub", flow="empty")
    (told,) = tasks(db)
    assert state(db, told["child"]) == "completed"


def test_the_queue_of_the_parent_is_gone(db: Database) -> None:
    """The child's end is its own all the same."""
    run = parent(db)
    begin(db, run, "sub")
    (task,) = take(db, "child")
    db.execute(b"select pgmq.drop_queue('shop')")
    settle(db, task)
    assert state(db, task["run"]) == "completed"
    assert column(db, "select state from postmill.steps where run_id = $1", run) == ["started"]


@pytest.mark.parametrize("child_fails", [True, False])
def test_a_step_after_one_that_was_undone_has_a_new_child_in_a_retry(
    db: Database, *, child_fails: bool
) -> None:
    """The step waited for a child that had ended, until the audit failed it: `message deleted elsewhere`. A
    child that had failed ran again, with the input that it had been given before the undoing.
    """
    register(db, step("a"), flow="child")
    register(db, step("before", compensates=True), step("sub", "before", kind="run"), step("next", "sub"))
    run = start(db)
    settle(db, take_one(db))
    take(db)
    begin(db, run, "sub")
    ends = take_one(db, "child")
    first = ends["run"]
    if child_fails:
        fail(db, ends)
    else:
        settle(db, ends)
        settle(db, take_one(db))
    fail(db, take_one(db))
    undo(db, take_one(db))
    value(db, "select postmill.retry_run($1)", run)
    assert (state(db, run), state(db, first)) == ("running", "failed" if child_fails else "completed")
    settle(db, take_one(db))
    assert take_one(db)["step"] == "sub"
    assert begin(db, run, "sub") == 1
    ends = take_one(db, "child")
    assert ends["run"] != first
    settle(db, ends)
    assert take_one(db) == {"run": run, "step": "sub", "child": ends["run"]}
    assert steps(db, run) == {"before": "completed", "sub": "started", "next": "waiting"}
