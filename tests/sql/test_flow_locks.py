"""Two settlements that meet: the second waits at the lock that the first holds, and sees what it did."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from postmill.sql.catalog import scripts
from tests.faults.protocol import Change
from tests.sql.asking import Database, value
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
from tests.sql.meeting import second_behind, wait_for_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sql.meeting import Act


def test_two_sources_of_one_step(db: Database, connect: Callable[[], Database]) -> None:
    """Elsewhere each counted itself off, and neither saw that it was the last."""
    register(db, step("a"), step("b"), step("z", "a", "b"))
    run = start(db)
    first, second = take(db)
    with second_behind(db, connect, lambda other: settle(other, second)):
        settle(db, first)
    assert tasks(db) == [{"run": run, "step": "z"}]


WITHOUT_LOCK = Change("_settle_steps", r"order by run\.run_id for no key update", "")


def test_without_the_lock_on_their_run_neither_is_the_last(
    db: Database, connect: Callable[[], Database]
) -> None:
    """The control: the step that waits for both never begins."""
    db.execute(WITHOUT_LOCK.apply(dict(scripts("functions"))["_settle_steps"]).encode())
    register(db, step("a"), step("b"), step("z", "a", "b"))
    start(db)
    first, second = take(db)
    with second_behind(db, connect, lambda other: settle(other, second)):
        settle(db, first)
    assert tasks(db) == []


def test_the_last_two_items_of_a_map(db: Database, connect: Callable[[], Database]) -> None:
    register(db, step("a"), map_over("m", "a"), step("z", "m"))
    run = start(db)
    settle(db, take_one(db), [1, 2])
    first, second = take(db)
    with second_behind(db, connect, lambda other: settle(other, second, "second")):
        settle(db, first, "first")
    assert outputs(db, run)["m"] == ["first", "second"]
    assert tasks(db) == [{"run": run, "step": "z"}]


def test_a_window_is_kept_by_two_that_settle(db: Database, connect: Callable[[], Database]) -> None:
    register(db, step("a"), map_over("m", "a"), m={"window": 2})
    start(db)
    settle(db, take_one(db), list("abcd"))
    first, second = take(db)
    with second_behind(db, connect, lambda other: settle(other, second)):
        settle(db, first)
    assert [task["item"] for task in tasks(db)] == [2, 3]


@pytest.mark.parametrize("first_fails", [True, False])
def test_one_fails_the_run_that_the_other_would_complete(
    db: Database, connect: Callable[[], Database], first_fails: bool
) -> None:
    """The run ends once, and what the step gave is kept either way."""
    register(db, step("a"), step("b"))
    run = start(db)
    dead, good = take(db)
    acts: list[Act] = [lambda session: fail(session, dead), lambda session: settle(session, good, 1)]
    if not first_fails:
        acts.reverse()
    with second_behind(db, connect, acts[1]):
        acts[0](db)
    found = run_of(db, run)
    assert (found["state"], found["culprit"]) == ("failed", "a")
    assert outputs(db, run) == {"b": 1}


def test_an_item_fails_while_another_ends(db: Database, connect: Callable[[], Database]) -> None:
    register(db, step("a"), map_over("m", "a", on_dead="skip"), step("z", "m"))
    run = start(db)
    settle(db, take_one(db), [1, 2])
    first, second = take(db)
    with second_behind(db, connect, lambda other: settle(other, second)):
        fail(db, first)
    assert steps(db, run) == {"a": "completed", "m": "skipped", "z": "started"}
    assert tasks(db) == [{"run": run, "step": "z"}]


def test_a_cascade_meets_a_step_that_ends(db: Database, connect: Callable[[], Database]) -> None:
    register(
        db, step("a", on_dead="skip_cascade"), step("b"), step("c", "a", "b"), step("d", "c"), step("e", "b")
    )
    run = start(db)
    dead, good = take(db)
    with second_behind(db, connect, lambda other: settle(other, good)):
        fail(db, dead)
    assert steps(db, run) == {
        "a": "skipped",
        "b": "completed",
        "c": "skipped",
        "d": "skipped",
        "e": "started",
    }


def test_a_run_is_cancelled_while_a_step_ends(db: Database, connect: Callable[[], Database]) -> None:
    register(db, step("a"), step("b", "a"))
    run = start(db)
    (task,) = take(db)
    with second_behind(db, connect, lambda other: settle(other, task, 1)):
        db.execute(b"select postmill.cancel_run($1)", [run])
    assert (run_of(db, run)["state"], tasks(db), outputs(db, run)) == ("cancelled", [], {"a": 1})


HOLD = (
    b"select postmill._hold_tasks(array[$1::bigint], array['a'], array[null::integer],"
    b" array[jsonb_build_object('run', $1::bigint, 'step', 'a')], array['paused'], array[1], 'shop')"
)
NOT_SENT_AGAIN = Change("_hold_tasks", r"run\.state in \('running', 'waiting', 'undoing'\)", "false")


@pytest.mark.parametrize("control", [False, True])
def test_a_run_is_resumed_while_its_task_is_held(
    db: Database, connect: Callable[[], Database], control: bool
) -> None:
    """It is sent again, not held for ever. The control does not send it, and it is lost."""
    if control:
        db.execute(NOT_SENT_AGAIN.apply(dict(scripts("functions"))["_hold_tasks"]).encode())
    register(db, step("a"))
    run = start(db)
    db.execute(b"select postmill.pause_run($1)", [run])
    (task,) = take(db)
    with second_behind(db, connect, lambda other: other.execute(HOLD, [run])):
        db.execute(b"select postmill.resume_run($1)", [run])
    assert tasks(db) == [task] * (not control)
    assert value(db, "select count(*) from postmill.held_tasks") == 0


def test_a_child_ends_while_its_parent_is_locked(db: Database, connect: Callable[[], Database]) -> None:
    """Nothing that ends a child waits for its parent: two that wait for each other would be a deadlock."""
    register(db, step("a"), flow="child")
    register(db, step("sub", kind="run"))
    run = start(db)
    (task,) = take(db)
    starting = b"select postmill._start_children(array[$1::bigint], array['sub'], array['child'], array['1'])"
    db.execute(starting, [run])
    (of_child,) = take(db, "child")
    other = connect()
    other.execute(b"set lock_timeout = '100 ms'")
    with db.transaction():
        db.execute(b"select from postmill.runs where run_id = $1 for update", [run])
        settle(other, of_child)
    assert tasks(db) == [{**task, "child": of_child["run"]}]


def order(db: Database, connect: Callable[[], Database], *acts: Callable[[Database, Any], None]) -> None:
    """Two sessions settle sources of the same two runs, each first the other one's last. A third holds the
    lower run until both stand at a lock, one behind the other.
    """
    register(db, step("a"), step("b"), step("z", "a", "b"))
    low, high = start(db), start(db)
    take(db)
    sessions = [connect(), connect()]
    orders = [("a", [high, low]), ("b", [low, high])]
    with ThreadPoolExecutor(2) as pool:
        with db.transaction():
            db.execute(b"select from postmill.runs where run_id = $1 for update", [low])
            acting = []
            for act, session, each in zip(acts, sessions, orders, strict=True):
                acting.append(pool.submit(act, session, each))
                wait_for_lock(db, session)
        for done in acting:
            done.result()


def settle_both(session: Database, of: tuple[str, list[int]]) -> None:
    name, runs = of
    session.execute(
        b"select postmill._settle_steps($1, $2, array[null, null]::integer[], array['1', '1'])",
        [runs, [name, name]],
    )


def fail_both(session: Database, of: tuple[str, list[int]]) -> None:
    name, runs = of
    session.execute(
        b"select postmill._fail_steps($1, $2, array[null, null]::integer[], array['x', 'x'])",
        [runs, [name, name]],
    )


def test_an_input_that_is_refused_while_a_step_settles(db: Database, connect: Callable[[], Database]) -> None:
    """What the step has done is undone, and nothing follows it."""
    register(db, step("a", compensates=True), step("z", "a"), step("b", on_dead="skip"))
    run = start(db)
    first, _ = take(db)
    with second_behind(db, connect, lambda other: refuse_input(other, run)):
        settle(db, first)
    assert run_of(db, run)["state"] == "undoing"
    assert [task.get("undo") for task in tasks(db) if task["step"] == "a"] == [True]


@pytest.mark.parametrize("comes_first", ["cancel", "refuse"])
def test_an_input_that_is_refused_while_the_run_is_cancelled(
    db: Database, connect: Callable[[], Database], comes_first: str
) -> None:
    """The first end counts."""
    register(db, step("a"))
    run = start(db)

    def cancel(session: Database) -> None:
        session.execute(b"select postmill.cancel_run($1, 'no need')", [run])

    def refuse(session: Database) -> None:
        refuse_input(session, run)

    first, second = (cancel, refuse) if comes_first == "cancel" else (refuse, cancel)
    with second_behind(db, connect, second):
        first(db)
    found = run_of(db, run)
    ends = {
        "cancel": ("cancelled", "cancelled by postgres: no need"),
        "refuse": ("failed", "it does not fit"),
    }
    assert (found["state"], found["reason"]) == ends[comes_first]


def refuse_both(session: Database, of: tuple[str, list[int]]) -> None:
    session.execute(b"select postmill._refuse_inputs($1, array['x', 'x'])", [of[1]])


@pytest.mark.parametrize("second", [settle_both, fail_both, refuse_both])
def test_runs_are_locked_in_one_order(
    db: Database, connect: Callable[[], Database], second: Callable[[Database, Any], None]
) -> None:
    order(db, connect, settle_both, second)


def test_another_order_is_a_deadlock(db: Database, connect: Callable[[], Database]) -> None:
    """The control: one that locks the higher run first."""
    text = value(
        db,
        "select pg_get_functiondef('postmill._fail_steps(bigint[],text[],integer[],text[])'::regprocedure)",
    )
    assert text.count("order by run.run_id for") == 1
    db.execute(text.replace("order by run.run_id for", "order by run.run_id desc for").encode())
    with pytest.raises(psycopg.errors.DeadlockDetected):
        order(db, connect, settle_both, fail_both)
