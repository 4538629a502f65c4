"""Tasks that are dead: what fails, what is skipped, and what goes on without them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sql.asking import Database, row, rows, value
from tests.sql.flow_scene import (
    fail,
    map_over,
    outputs,
    refuse_input,
    register,
    run_of,
    settle,
    start,
    step,
    steps,
    take,
    take_one,
    tasks,
)

PARTIAL = "select postmill._partial(s) from postmill.steps as s where run_id = $1 and step = 'm'"


@pytest.mark.parametrize(
    ("on_dead", "state", "ends"),
    [
        ("fail", "failed", {"a": "failed", "b": "cancelled", "c": "completed"}),
        ("skip", "running", {"a": "skipped", "b": "started", "c": "completed"}),
        ("skip_cascade", "completed", {"a": "skipped", "b": "skipped", "c": "completed"}),
        ("collect", "failed", {"a": "failed", "b": "cancelled", "c": "completed"}),  # of what is no map
    ],
)
def test_a_step_that_is_dead(db: Database, on_dead: str, state: str, ends: dict[str, str]) -> None:
    register(db, step("a", on_dead=on_dead), step("b", "a"), step("c"))
    run = start(db)
    first, other = take(db)
    settle(db, other)
    fail(db, first, "no such host")
    found = run_of(db, run)
    assert found["state"] == state
    assert {name: end for name, end in steps(db, run).items() if end != "cancelled"} == {
        name: end for name, end in ends.items() if end != "cancelled"
    }
    if state == "failed":
        assert (found["culprit"], found["reason"]) == ("a", "no such host")
    reason = value(db, "select reason from postmill.steps where run_id = $1 and step = 'a'", run)
    assert reason == ("handler_failed: " if "skip" in on_dead else "") + "no such host"


@pytest.mark.parametrize("on_dead", ["fail", "skip", "skip_cascade"])
def test_one_item_ends_its_map(db: Database, on_dead: str) -> None:
    """What other items give afterwards counts for nothing."""
    register(db, step("a"), map_over("m", "a", on_dead=on_dead), step("z", "m"), m={"window": 2})
    run = start(db)
    settle(db, take_one(db), [1, 2, 3])
    first, second = take(db)
    fail(db, first)
    before = tasks(db)
    settle(db, second)
    ends = {
        "fail": ("failed", "failed"),
        "skip": ("skipped", "running"),
        "skip_cascade": ("skipped", "completed"),
    }
    assert (steps(db, run)["m"], run_of(db, run)["state"]) == ends[on_dead]
    assert [task["step"] for task in before] == (["z"] if on_dead == "skip" else [])
    assert tasks(db) == before
    assert rows(db, "select from postmill.items where ended") == []


@pytest.mark.parametrize("window", [None, 1, 2])
def test_failed_items_are_collected(db: Database, window: int | None) -> None:
    chosen: dict[str, Any] = {} if window is None else {"m": {"window": window}}
    register(db, step("a"), map_over("m", "a", on_dead="collect"), step("z", "m"), **chosen)
    run = start(db)
    settle(db, take_one(db), list("abcd"))
    while [task for task in tasks(db) if task["step"] == "m"]:
        for task in take(db):
            if task["value"] in "bd":
                fail(db, task, f"{task['value']} is broken")
            else:
                settle(db, task, task["value"])
    assert outputs(db, run)["m"] == ["a", "c"]
    errors = [{"item": 1, "reason": "b is broken"}, {"item": 3, "reason": "d is broken"}]
    assert value(db, PARTIAL, run) == {"results": ["a", "c"], "errors": errors}
    assert tasks(db) == [{"run": run, "step": "z"}]


def test_a_map_runs_over_what_another_has_collected(db: Database) -> None:
    register(db, step("a"), map_over("m", "a", on_dead="collect"), map_over("n", "m"))
    start(db)
    settle(db, take_one(db), [1, 2, 3])
    first, second, third = take(db)
    fail(db, first)
    settle(db, third, "third")
    settle(db, second, "second")
    assert [(task["item"], task["value"]) for task in tasks(db)] == [(0, "second"), (1, "third")]


def test_all_items_fail_and_the_step_goes_on(db: Database) -> None:
    register(db, step("a"), map_over("m", "a", on_dead="collect"))
    run = start(db)
    settle(db, take_one(db), [1])
    fail(db, take_one(db))
    assert outputs(db, run)["m"] == []
    assert run_of(db, run)["state"] == "completed"


def test_the_first_that_fails_is_the_culprit(db: Database) -> None:
    register(db, step("a"), step("b"))
    run = start(db)
    first, second = take(db)
    fail(db, second, "first")
    fail(db, first, "second")
    found = run_of(db, run)
    assert (found["culprit"], found["reason"]) == ("b", "first")
    assert steps(db, run) == {"a": "failed", "b": "failed"}


def test_what_was_skipped_gives_nothing(db: Database) -> None:
    reads = {
        name: {"of": "m", "path": [], "as": kind}
        for name, kind in (("maybe", "maybe"), ("partial", "partial"))
    }
    register(
        db, step("a"), map_over("m", "a", on_dead="skip"), step("z", "m", reads=reads), map_over("n", "m")
    )
    run = start(db)
    settle(db, take_one(db), [1])
    fail(db, take_one(db))
    given = row(db, "select inputs from postmill._step_inputs(array[$1::bigint], array['z'])", run)
    assert given == {"inputs": {"maybe": None, "partial": None}}
    assert outputs(db, run)["n"] == []


def test_an_input_that_does_not_fit_fails_the_run_whatever_its_steps_say(db: Database) -> None:
    """No step is at fault; a retry, under a program that takes the input, begins those that had begun."""
    register(db, step("a", on_dead="skip"), step("b", on_dead="skip_cascade"), step("z", "a", "b"))
    run = start(db)
    first, second = take(db)
    refuse_input(db, run, "its cents are none")
    found = run_of(db, run)
    assert (found["state"], found["culprit"], found["reason"]) == ("failed", None, "its cents are none")
    assert steps(db, run) == {"a": "cancelled", "b": "cancelled", "z": "cancelled"}
    refuse_input(db, run, "said again")
    assert run_of(db, run)["reason"] == "its cents are none"
    assert value(db, "select postmill.retry_run($1)", run)
    assert take(db) == [first, second]
