"""Registering a flow and starting runs of it: versions, keys, times, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.sql.asking import Database, column, refused, row, rows
from tests.sql.flow_scene import QUEUE, hold, register, run_of, settle, start, step, take, tasks

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_shape_keeps_its_number_and_another_one_gets_the_next(db: Database) -> None:
    assert register(db, step("a")) == 1
    assert register(db, step("a"), step("b", "a")) == 2
    assert register(db, step("a")) == 1
    assert register(db, step("a"), flow="other") == 1


def test_what_is_chosen_follows_the_program(db: Database) -> None:
    register(db, step("a"), a={"delay_s": 60})
    register(db, step("a"), a={"priority": 7, "queue": "fast"})
    start(db)
    assert tasks(db) == []
    assert row(db, "select headers from pgmq.q_fast") == {"headers": {"postmill-priority": 7}}


def test_a_run_stays_on_its_version(db: Database) -> None:
    register(db, step("a"))
    old = start(db)
    register(db, step("a"), step("b", "a"))
    new, wanted = start(db), start(db, version=1)
    for task in take(db):
        settle(db, task)
    assert [run_of(db, run)["state"] for run in (old, new, wanted)] == ["completed", "running", "completed"]


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([], "at least one step"),
        ([step("a"), step("a")], "the same name"),
        ([step("input")], "none is named input"),
        ([{"needs": []}], "a step has a name"),
        ([step("a", "b"), step("b")], "step a needs b"),
        ([step("a", "a")], "step a needs a"),
        ([step("a", "lacks")], "step a needs lacks"),
    ],
)
def test_a_shape_that_is_none(db: Database, steps: list[dict[str, Any]], says: str) -> None:
    with refused("PM003", says):
        register(db, *steps)
    assert rows(db, "select from postmill.flow_versions") == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("'lacks'", "PM010", "no flow 'lacks'"),
        ("null", "PM010", "no flow null"),
        ("'shop', version => 9", "PM010", "version 9"),
        ("'shop', null", "PM003", "the input is null"),
        ("'shop', key => ''", "PM003", "the key has 0"),
        ("'shop', delay => '-1 s'", "PM003", "the delay"),
        ("'shop', deadline => '0'", "PM003", "the deadline"),
        ("'shop', delay => '1000 years'", "PM003", "hundred years"),
        ("'shop', priority => 10", "PM003", "the priority is 10"),
        ("'shop', tags => array[null]", "PM003", "a tag is null"),
    ],
)
def test_what_no_run_is_started_with(db: Database, arguments: str, code: str, says: str) -> None:
    register(db, step("a"))
    with refused(code, says):
        db.execute(f"select postmill.start_flow({arguments})".encode())
    assert tasks(db) == []


def test_a_name_that_no_flow_has_is_answered_with_the_nearest_one(db: Database) -> None:
    """It said "Its versions here: ." of a flow without any."""
    register(db, step("a"))
    with pytest.raises(psycopg.Error, match="no flow 'shpo'") as caught:
        db.execute("select postmill.start_flow('shpo')")
    assert caught.value.diag.message_detail == "No program has registered it in this database."
    assert caught.value.diag.message_hint == "Did you mean shop?"


def test_a_key_belongs_to_one_run(db: Database) -> None:
    register(db, step("a"))
    register(db, step("a"), flow="other")
    first = start(db, {"n": 1}, key="k")
    assert start(db, {"n": 1}, key="k") == first
    assert start(db, {"n": 1}, key="k", flow="other") != first
    with refused("PM011", "the key 'k' of flow 'shop' is taken"):
        start(db, {"n": 2}, key="k")
    assert len(tasks(db)) == 1


def test_two_sessions_start_with_one_key(db: Database, connect: Callable[[], Database]) -> None:
    """The second waits for the first, and gets its run; or starts its own when that one is rolled back."""
    register(db, step("a"))
    for commits in (True, False):
        with db.transaction(force_rollback=not commits):
            first = start(db, key=f"k{commits}")
            other = connect()
            other.execute(b"set lock_timeout = '50 ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                start(other, key=f"k{commits}")
        assert (start(other, key=f"k{commits}") == first) == commits


def test_a_start_is_part_of_its_transaction(db: Database) -> None:
    register(db, step("a"))
    with db.transaction(force_rollback=True):
        start(db)
    assert tasks(db) == []
    assert rows(db, "select from postmill.runs") == []


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_run_can_be_started_at_any_isolation(db: Database, level: str) -> None:
    """It is nobody else's yet."""
    register(db, step("a"), step("b"), step("c", "a", "b"))
    with db.transaction():
        db.execute(f"set transaction isolation level {level}".encode())
        start(db)
    assert len(tasks(db)) == 2


def test_a_run_has_the_deadline_of_its_flow_unless_its_start_says_otherwise(db: Database) -> None:
    """Runs that were not started from Python had none."""
    register(db, step("a"), input={"deadline_s": 7200})
    start(db)
    start(db, deadline="1 hour")
    register(db, step("a"))
    start(db)
    left = "select round(extract(epoch from deadline - started_at) / 60)::integer from postmill.runs"
    assert column(db, left + " order by run_id") == [120, 60, None]
    with refused("PM003", "a number of seconds above 0"):
        register(db, step("a"), input={"deadline_s": 0})


def test_delay_deadline_and_priority(db: Database) -> None:
    register(db, step("a"), step("b"), b={"delay_s": 30, "priority": 3})
    run = start(db, delay="1 hour", deadline="2 hours", priority=5, tags=["nightly"])
    due = "select (vt - enqueued_at) / 60 as after, headers from pgmq.q_shop"
    found = [
        (round(each["after"].total_seconds(), 1), each["headers"]["postmill-priority"])
        for each in rows(db, due)
    ]
    assert found == [(60.0, 5), (60.5, 3)]
    known = row(db, "select deadline - started_at as left, tags from postmill.runs where run_id = $1", run)
    assert (round(known["left"].total_seconds() / 60), known["tags"]) == (120, ["nightly"])


def test_first_steps_that_are_skipped_or_empty_end_the_run_at_once(db: Database) -> None:
    nothing = {"of": "input", "path": ["list"]}
    unmet = {"of": "input", "path": ["flag"], "equals": True}
    register(
        db, step("all", kind="map", over=nothing), step("b", when=unmet), step("c", "all", "b", when=unmet)
    )
    run = start(db, {"list": [], "flag": False})
    assert run_of(db, run)["state"] == "completed"
    assert tasks(db) == []


def test_tasks_held_for_a_version_are_sent_when_a_program_has_it(db: Database) -> None:
    register(db, step("a"))
    start(db)
    (task,) = take(db)
    hold(db, task, "version")
    register(db, step("a"), step("b", "a"))
    assert tasks(db) == []
    register(db, step("a"))
    assert tasks(db) == [task]


def test_a_task_that_was_moved_is_held_for_the_queue_where_it_belongs(db: Database) -> None:
    """It was held for the queue where it was found, whose workers never had the step."""
    register(db, step("a"), step("b"), b={"queue": "side"})
    start(db)
    moved = [*take(db), *take(db, "side")]
    for task in moved:
        hold(db, task, "version")
    register(db, step("a"), step("b"), b={"queue": "side"})
    assert [*take(db), *take(db, "side")] == moved


def test_a_workflow_begins_with_its_first_wake(db: Database) -> None:
    register(db, kind="workflow")
    run = start(db, 1)
    assert tasks(db) == [{"run": run, "wake": 0}]


def test_a_map_over_the_input(db: Database) -> None:
    register(db, step("each", kind="map", over={"of": "input", "path": ["urls"]}))
    run = start(db, {"urls": ["a", None]})
    assert tasks(db) == [
        {"run": run, "step": "each", "item": 0, "value": "a"},
        {"run": run, "step": "each", "item": 1, "value": None},
    ]


def test_the_queue_of_the_flow_is_gone(db: Database) -> None:
    register(db, step("a"))
    db.execute(f"select pgmq.drop_queue('{QUEUE}')".encode())
    run = start(db)
    found = run_of(db, run)
    assert (found["state"], found["culprit"]) == ("failed", "a")
    assert "no queue 'shop'" in found["reason"]
