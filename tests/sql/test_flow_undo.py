"""A run that fails undoes what it has done: the step that ended last first, one at a time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sql.asking import Database, column, refused, value
from tests.sql.flow_scene import (
    fail,
    hold,
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


def undo(db: Database, task: dict[str, Any], reason: str | None = None) -> int:
    """The step is undone; or, with a reason, can't be. How many steps were written."""
    done: int = value(
        db,
        "select postmill._end_undo(array[$1::bigint], array[$2], array[$3])",
        task["run"],
        task["step"],
        reason,
    )
    return done


def failing(db: Database) -> int:
    """A run whose last step is about to fail; three of its steps can be undone, and two of them are done."""
    register(
        db,
        step("reserve", compensates=True),
        step("charge", "reserve", compensates=True),
        step("mail", "charge"),
        step("pack", "charge", compensates=True),
        step("ship", "mail"),
    )
    run = start(db, priority=4)
    settle(db, take_one(db), "r1")
    settle(db, take_one(db), {"id": 7})
    mail, _ = take(db)
    settle(db, mail)
    return run


@pytest.mark.parametrize("reason", [None, "the bank said no"])
def test_steps_are_undone_the_last_one_first(db: Database, reason: str | None) -> None:
    """One that can't be undone keeps no other from it."""
    run = failing(db)
    fail(db, take_one(db), "no parcel")
    assert state(db, run) == "undoing"
    assert tasks(db) == [{"run": run, "step": "charge", "undo": True}]
    assert column(db, "select headers ->> 'postmill-priority' from pgmq.q_shop") == ["4"]
    given = "select output from postmill._step_inputs(array[$1::bigint], array['charge'])"
    assert value(db, given, run) == {"id": 7}
    undo(db, take_one(db), reason)
    assert tasks(db) == [{"run": run, "step": "reserve", "undo": True}]
    undo(db, take_one(db))
    found = run_of(db, run)
    assert (found["state"], found["culprit"], found["reason"]) == ("failed", "ship", "no parcel")
    undone = "select step from postmill.steps where undone_at is not null order by step"
    assert column(db, undone) == (["charge", "reserve"] if reason is None else ["reserve"])
    if reason:
        assert column(db, "select reason from postmill.steps where step = 'charge'") == [
            "not undone: the bank said no"
        ]


def test_a_step_that_ends_while_others_are_undone_is_undone_too(db: Database) -> None:
    run = failing(db)
    fail(db, take_one(db))
    (charge,) = take(db)
    settle(db, {"run": run, "step": "pack"}, "late")
    undo(db, charge)
    order = []
    while taken := take(db):
        (task,) = taken
        order.append(task["step"])
        undo(db, task)
    assert order == ["pack", "reserve"]
    assert state(db, run) == "failed"


def test_a_step_that_ends_after_its_run_has_failed_is_undone_all_the_same(db: Database) -> None:
    register(db, step("charge", compensates=True), step("other"))
    run = start(db)
    charge, other = take(db)
    fail(db, other)
    assert state(db, run) == "failed"
    settle(db, charge, "late")
    (task,) = take(db)
    assert task == {"run": run, "step": "charge", "undo": True}
    assert undo(db, task) == 1
    assert undo(db, task) == 0
    assert (state(db, run), tasks(db)) == ("failed", [])


def test_a_map_whose_last_item_fails_after_its_run_has_failed_is_undone_all_the_same(db: Database) -> None:
    """Its last item ended in a failure that is collected: what its other items had done was never undone."""
    register(db, step("list"), map_over("m", "list", on_dead="collect", compensates=True), step("other"))
    run = start(db)
    listed, other = take(db)
    settle(db, listed, ["a", "b"])
    first, second = take(db)
    fail(db, other)
    assert state(db, run) == "failed"
    settle(db, first, "done")
    fail(db, second)
    task = take_one(db)
    assert task == {"run": run, "step": "m", "undo": True}
    assert undo(db, task) == 1
    assert (state(db, run), tasks(db)) == ("failed", [])


def test_a_run_is_not_retried_while_a_step_that_ended_late_is_to_be_undone(db: Database) -> None:
    """The step was done a second time, and the message that undoes it was dropped as the run went on."""
    register(db, step("charge", compensates=True), step("other"))
    run = start(db)
    charge, other = take(db)
    fail(db, other)
    settle(db, charge, "late")
    with refused("PM012", "retried while its step charge is being undone"):
        value(db, "select postmill.retry_run($1)", run)
    steered = "select done from postmill.steer_runs('retry', flow => 'shop', dry_run => false)"
    assert column(db, steered) == [False]
    hold(db, take_one(db), "version")
    with refused("PM012", "its step charge"):
        value(db, "select postmill.retry_run($1)", run)
    register(db, step("charge", compensates=True), step("other"))
    undo(db, take_one(db))
    assert value(db, "select postmill.retry_run($1)", run)
    assert sorted(task["step"] for task in take(db)) == ["charge", "other"]


@pytest.mark.parametrize("gone", ["delete from pgmq.q_bank", "select pgmq.drop_queue('bank')"])
def test_a_run_whose_step_will_never_be_undone_is_retried(db: Database, gone: str) -> None:
    register(db, step("charge", compensates=True), step("other"), charge={"queue": "bank"})
    run = start(db)
    charge, other = take_one(db, "bank"), take_one(db)
    fail(db, other)
    settle(db, charge, "late")
    db.execute(gone.encode())
    assert value(db, "select postmill.retry_run($1)", run)


def test_what_is_forged_undoes_nothing(db: Database) -> None:
    run = failing(db)
    assert undo(db, {"run": run, "step": "charge"}) == 0
    fail(db, take_one(db))
    for name in ("mail", "pack", "ship", "lacks"):
        assert undo(db, {"run": run, "step": name}) == 0
    assert undo(db, {"run": 10**12, "step": "charge"}) == 0
    assert tasks(db) == [{"run": run, "step": "charge", "undo": True}]


def test_a_run_that_was_cancelled_undoes_nothing(db: Database) -> None:
    run = failing(db)
    db.execute(b"select postmill.cancel_run($1)", [run])
    settle(db, {"run": run, "step": "pack"})
    assert [task for task in tasks(db) if "undo" in task] == []


def test_the_queue_of_what_undoes_is_gone(db: Database) -> None:
    """The run fails, as it would have."""
    register(db, step("a", compensates=True), step("b", "a"), a={"queue": "bank"})
    run = start(db)
    settle(db, take_one(db, "bank"))
    db.execute(b"select pgmq.drop_queue('bank')")
    fail(db, take_one(db))
    assert state(db, run) == "failed"


def test_a_task_of_undoing_that_another_client_deleted_is_sent_again(db: Database) -> None:
    run = failing(db)
    fail(db, take_one(db))
    lost = take(db)
    db.execute(b"select postmill.sweep_flows()")
    assert tasks(db) == lost
    db.execute(b"delete from postmill.flow_audit; select postmill.sweep_flows()")
    assert (tasks(db), state(db, run)) == (lost, "undoing")
