from __future__ import annotations

import json

import pytest

from tests.sql.asking import Database, column, refused, row, value
from tests.sql.flow_scene import (
    fail,
    finish,
    make,
    map_over,
    outputs,
    register,
    settle,
    start,
    state,
    step,
    steps,
    take,
    take_one,
    tasks,
)


def done(db: Database) -> int:
    """A run that was completed, with a map in it."""
    register(db, step("list"), step("other"), map_over("each", "list"), step("sum", "each", "other"))
    run = start(db, {"n": 1}, tags=["eu"], priority=7)
    finish(db, list=["x", "y"])
    assert state(db, run) == "completed"
    return run


def fork(db: Database, run: int, **options: object) -> int:
    given = {
        name: json.dumps(each) if name in {"input", "outputs"} else each for name, each in options.items()
    }
    named = "".join(
        f", {name} => ${place}" + ("::text::jsonb" if name in {"input", "outputs"} else "")
        for place, name in enumerate(given, 2)
    )
    return int(value(db, f"select postmill.fork_run($1{named})", run, *given.values()))


def test_a_fork_begins_at_its_step_and_has_the_rest(db: Database) -> None:
    run = done(db)
    forked = fork(db, run, step="sum", input={"n": 2})
    assert steps(db, forked) == {
        "list": "completed",
        "other": "completed",
        "each": "completed",
        "sum": "started",
    }
    assert outputs(db, forked) == {"list": ["x", "y"], "other": "other", "each": ["x", "y"]}
    assert tasks(db) == [{"run": forked, "step": "sum"}]
    found = row(
        db, "select input, tags, priority, key, forked_from from postmill.runs where run_id = $1", forked
    )
    assert found == {"input": {"n": 2}, "tags": ["eu"], "priority": 7, "key": None, "forked_from": run}
    finish(db)
    assert (state(db, forked), state(db, run)) == ("completed", "completed")


def test_what_needs_the_step_is_done_anew(db: Database) -> None:
    forked = fork(db, done(db), step="list")
    assert steps(db, forked) == {"list": "started", "other": "completed", "each": "waiting", "sum": "waiting"}
    finish(db, list=["p"])
    assert outputs(db, forked)["each"] == ["p"]
    assert state(db, forked) == "completed"


def test_an_output_that_is_given_stands_and_what_needs_it_is_done_anew(db: Database) -> None:
    forked = fork(db, done(db), step="list", outputs={"list": ["new"]})
    assert [task["value"] for task in tasks(db)] == ["new"]
    finish(db)
    assert outputs(db, forked) == {"list": ["new"], "other": "other", "each": ["new"], "sum": "sum"}


@pytest.mark.parametrize("output", [0, "", False, None, []])
def test_the_output_of_a_step_that_has_failed_can_be_given(db: Database, output: object) -> None:
    """Also one that is falsy."""
    run = make(db, "failed")
    forked = fork(db, run, step="b", outputs={"a": output})
    assert tasks(db) == [{"run": forked, "step": "b"}]
    assert outputs(db, forked) == {"a": output}


def test_without_a_step_all_is_done_anew(db: Database) -> None:
    run = make(db, "running")
    forked = fork(db, run)
    assert tasks(db) == [{"run": forked, "step": "a"}]
    finish(db)
    assert (state(db, forked), state(db, run)) == ("completed", "running")


def test_a_run_whose_last_steps_are_all_given_is_completed(db: Database) -> None:
    forked = fork(db, make(db, "failed"), step="b", outputs={"a": 1, "b": 2})
    assert (state(db, forked), tasks(db)) == ("completed", [])


def test_a_decision_is_copied_with_what_it_has_cut(db: Database) -> None:
    no = {"of": "a", "path": [], "equals": "no"}
    register(db, step("a"), step("b", "a", when=no, on_unmet="skip_cascade"), step("c", "b"), step("d", "a"))
    run = start(db)
    finish(db)
    assert steps(db, run) == {"a": "completed", "b": "skipped", "c": "skipped", "d": "completed"}
    forked = fork(db, run, step="c")
    assert (steps(db, forked)["c"], state(db, forked)) == ("skipped", "completed")


def test_a_deadline_is_as_far_away_as_it_was(db: Database) -> None:
    register(db, step("a"))
    run = start(db, deadline="2 hours")
    forked = fork(db, run)
    left = (
        "select round(extract(epoch from deadline - started_at)) from postmill.runs where run_id = any ($1)"
    )
    assert column(db, left, [run, forked]) == [7200, 7200]


@pytest.mark.parametrize("wrong", [{"step": "x"}, {"outputs": {"x": 1}}])
def test_refuses_a_step_that_the_run_does_not_have(db: Database, wrong: dict[str, object]) -> None:
    run = make(db, "failed")
    with refused("PM003", "has no step 'x'"):
        fork(db, run, **wrong)


def test_a_fork_of_a_run_that_goes_on_takes_nothing_from_it(db: Database) -> None:
    register(db, step("a"), step("b", "a"))
    run = start(db)
    settle(db, take_one(db))
    forked = fork(db, run, step="b")
    assert tasks(db) == [{"run": run, "step": "b"}, {"run": forked, "step": "b"}]


def test_what_was_undone_is_done_anew_in_a_fork(db: Database) -> None:
    """It was copied as done: the forked run went on with a booking that had been given back."""
    register(db, step("a", compensates=True), step("b"), step("c", "a", "b"))
    run = start(db)
    for task in take(db):
        settle(db, task)
    fail(db, take_one(db))
    with refused("PM012", "can't be forked at a step while it undoes"):
        fork(db, run, step="c")
    db.execute(b"select postmill._end_undo($1, '{a}', '{null}')", [[take_one(db)["run"]]])
    assert state(db, run) == "failed"
    forked = fork(db, run, step="c")
    assert steps(db, forked) == {"a": "started", "b": "completed", "c": "waiting"}
    given = fork(db, run, step="c", outputs={"a": "as it was"})
    assert steps(db, given) == {"a": "completed", "b": "completed", "c": "started"}
