"""The tasks of a step with a group: each is sent with it and waits at the group's gate, whatever sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.asking import Database, rows, value
from tests.sql.flow_scene import (
    fail,
    hold,
    map_over,
    register,
    run_of,
    settle,
    start,
    step,
    steps,
    take,
    take_one,
)
from tests.sql.test_flow_claiming import leased, settled

if TYPE_CHECKING:
    from collections.abc import Callable

TENANT = {"group": {"of": "input", "path": ["tenant"]}}
HOST = {"group": {"item": ["host"]}}
ACME = {"tenant": "acme"}


def sent(db: Database) -> list[Any]:
    """The step and group of each task, as its header, its gate and its row's time have it."""
    found = rows(
        db,
        "select message ->> 'step' as step, headers ->> 'postmill-group' as header, gate.group_key,"
        " vt = postmill._parked_until() as is_parked from pgmq.q_shop as q"
        " left join postmill.gates as gate on gate.queue_name = 'shop' and gate.msg_id = q.msg_id"
        " order by (message ->> 'item')::integer, q.msg_id",
    )
    for each in found:
        assert each["header"] == each["group_key"]
        assert each["is_parked"] == (each["header"] is not None)
    return [(each["step"], each["header"]) for each in found]


def test_first_steps_and_those_that_follow(db: Database) -> None:
    register(db, step("a"), step("b", "a"), step("c", "a"), a=TENANT, b={"group": {"of": "a", "path": []}})
    start(db, ACME, delay="1 hour")
    assert sent(db) == [("a", "acme")]
    assert value(db, "select rank > now() + interval '59 minutes' from postmill.gates")
    settle(db, take_one(db), 17)
    assert sorted(sent(db)) == [("b", "17"), ("c", None)]


def test_a_settlement_begins_nothing_of_a_group(db: Database) -> None:
    register(db, step("a"), step("b", "a"), step("c", "a"), c=TENANT)
    start(db, ACME)
    settled(db)
    assert leased(db) == ["b"]
    assert sorted(sent(db)) == [("b", None), ("c", "acme")]


def test_other_queues_priorities_and_a_fixed_key(db: Database) -> None:
    register(db, step("a"), a={"group": {"key": "eu"}, "priority": 7, "queue": "fast"})
    start(db)
    assert rows(db, "select headers from pgmq.q_fast") == [
        {"headers": {"postmill-group": "eu", "postmill-priority": 7}}
    ]
    assert value(db, "select group_key from postmill.gates where queue_name = 'fast'") == "eu"


@pytest.mark.parametrize("window", [{}, {"window": 2}])
def test_items_of_a_map_have_a_group_each_or_all_the_same(db: Database, window: dict[str, int]) -> None:
    over = [{"host": "x"}, {"host": "y"}, {"host": None}, {"host": "x"}]
    register(
        db, step("a"), map_over("each", "a"), map_over("all", "a"), each={**HOST, **window}, all={**TENANT}
    )
    start(db, ACME)
    settle(db, take_one(db), over)
    seen = []
    while True:
        seen += sent(db)
        if not (taken := take(db)):
            break
        for task in taken:
            settle(db, task)
    assert [group for name, group in seen if name == "each"] == ["x", "y", None, "x"]
    assert [group for name, group in seen if name == "all"] == ["acme"] * 4


def test_a_retry_keeps_the_group(db: Database) -> None:
    register(db, step("a"), map_over("m", "a"), a=TENANT, m=HOST)
    run = start(db, ACME)
    fail(db, take_one(db))
    db.execute(b"select postmill.retry_run($1)", [run])
    assert sent(db) == [("a", "acme")]
    settle(db, take_one(db), [{"host": "x"}, {"host": "y"}])
    first, _ = take(db)
    fail(db, first)
    db.execute(b"select postmill.retry_run($1)", [run])
    assert sent(db) == [("m", "x"), ("m", "y")]


def test_a_fork_keeps_the_group(db: Database) -> None:
    register(db, step("a"), step("b", "a"), b=TENANT)
    run = start(db, ACME)
    settle(db, take_one(db))
    settle(db, take_one(db))
    db.execute(b"select postmill.fork_run($1, 'b')", [run])
    assert sent(db) == [("b", "acme")]


def of_a_paused_run(db: Database, run: int, task: dict[str, Any]) -> None:
    db.execute(b"select postmill.pause_run($1)", [run])
    hold(db, task, "paused")
    assert sent(db) == []
    db.execute(b"select postmill.resume_run($1)", [run])


def of_a_run_that_was_resumed_meanwhile(db: Database, run: int, task: dict[str, Any]) -> None:
    hold(db, task, "paused")


def of_a_program_that_came_later(db: Database, run: int, task: dict[str, Any]) -> None:
    hold(db, task, "version")
    assert sent(db) == []
    register(db, step("a"), map_over("m", "a"), a=TENANT, m=HOST)


@pytest.mark.parametrize(
    "again", [of_a_paused_run, of_a_run_that_was_resumed_meanwhile, of_a_program_that_came_later]
)
def test_a_task_that_was_held_keeps_its_group(db: Database, again: Callable[..., None]) -> None:
    register(db, step("a"), map_over("m", "a"), a=TENANT, m=HOST)
    run = start(db, ACME)
    again(db, run, take_one(db))
    assert sent(db) == [("a", "acme")]
    settle(db, take_one(db), [{"host": "x"}])
    again(db, run, take_one(db))
    assert sent(db) == [("m", "x")]


def test_what_undoes_a_step_has_no_group(db: Database) -> None:
    register(db, step("a", compensates=True), step("b", "a"), a=TENANT)
    start(db, ACME)
    settle(db, take_one(db))
    fail(db, take_one(db))
    assert sent(db) == [("a", None)]
    hold(db, take_one(db), "paused")
    assert sent(db) == [("a", None)]


@pytest.mark.parametrize("tenant", [None, "", ...])
def test_nothing_there_is_no_group(db: Database, tenant: Any) -> None:
    register(db, step("a"), a=TENANT)
    start(db, {} if tenant is ... else {"tenant": tenant})
    assert sent(db) == [("a", None)]


@pytest.mark.parametrize(("tenant", "group"), [(2.5, "2.5"), (True, "true"), ("ä" * 200, "ä" * 200)])
def test_numbers_bools_and_long_texts_are_keys(db: Database, tenant: Any, group: str) -> None:
    register(db, step("a"), a=TENANT)
    start(db, {"tenant": tenant})
    assert sent(db) == [("a", group)]


@pytest.mark.parametrize(
    ("tenant", "told"),
    [
        ({"id": 1}, "input.tenant is a JSON object"),
        ([1], "input.tenant is a JSON array"),
        ("x" * 201, "input.tenant is one of 201 characters"),
    ],
)
def test_what_is_no_key_fails_the_step_in_words(db: Database, tenant: Any, told: str) -> None:
    register(db, step("a"), a=TENANT)
    run = run_of(db, start(db, {"tenant": tenant}))
    assert (run["state"], run["culprit"]) == ("failed", "a")
    assert run["reason"] == f"a group key is a text of at most 200 characters, a number or a bool, and {told}"
    assert sent(db) == []


def test_an_item_without_a_key_fails_its_map_as_on_dead_says(db: Database) -> None:
    register(db, step("a"), map_over("m", "a", on_dead="skip"), step("b", "m"), m=HOST)
    run = start(db)
    settle(db, take_one(db), [{"host": "x"}, {"host": {}}])
    assert steps(db, run)["m"] == "skipped"
    assert value(db, "select reason from postmill.steps where step = 'm'").endswith(
        "and item 1.host is a JSON object"
    )
    assert sent(db) == [("b", None)]
