"""Steps that are runs of other flows: one child each, and its end is told to the parent."""

from __future__ import annotations

from tests.sql.asking import Database, column, value
from tests.sql.flow_scene import fail, register, run_of, settle, start, state, step, take, tasks

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
