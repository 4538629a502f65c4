"""Tasks that succeed: what begins, what ends, and messages that nobody should have sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sql.asking import Database, refused, row, rows, value
from tests.sql.flow_scene import (
    fail,
    map_over,
    outputs,
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

DEPTH = 1_000
ITEMS = 100_000


def read(name: str, *of: str, kind: str = "out") -> dict[str, Any]:
    """One parameter of a step."""
    return {name: {"of": of[0], "path": list(of[1:]), "as": kind}}


def inputs(db: Database, run: int, name: str) -> Any:
    """What the step is given."""
    return value(db, "select inputs from postmill._step_inputs(array[$1::bigint], array[$2])", run, name)


@pytest.mark.parametrize("output", [0, "", False, None, [], {}])
def test_what_is_false_in_python_is_an_output(db: Database, output: object) -> None:
    register(db, step("a"), step("b", "a", reads=read("it", "a"), when={"of": "a", "path": [], "has": {}}))
    register(db, step("a"), step("b", "a", reads=read("it", "a")), flow="always")
    run = start(db, flow="always")
    settle(db, take_one(db, "always"), output)
    assert outputs(db, run) == {"a": output}
    assert inputs(db, run, "b") == {"it": output}
    assert [task["step"] for task in tasks(db, "always")] == ["b"]


def test_only_the_path_that_is_named_is_given(db: Database) -> None:
    register(
        db,
        step("a"),
        step(
            "b",
            "a",
            reads={**read("x", "a", "deep", "1"), **read("no", "a", "no"), **read("in", "input", "k")},
        ),
    )
    run = start(db, {"k": [1]})
    settle(db, take_one(db), {"deep": [0, {"n": 1}], "rest": "secret"})
    assert inputs(db, run, "b") == {"x": {"n": 1}, "no": None, "in": [1]}


def test_a_step_begins_with_the_last_of_its_sources(db: Database) -> None:
    register(db, step("a"), step("b"), step("c", "a", "b"))
    run = start(db)
    first, second = take(db)
    settle(db, first)
    assert steps(db, run)["c"] == "waiting"
    settle(db, second)
    assert tasks(db) == [{"run": run, "step": "c"}]


def test_many_steps_of_many_runs_in_one_settlement(db: Database) -> None:
    register(db, step("a"), step("b"), step("c", "a", "b"))
    runs = [start(db) for _ in range(20)]
    for _ in range(2):
        taken = take(db)
        ids, names = [task["run"] for task in taken], [task["step"] for task in taken]
        settling = "select ended from postmill._settle_steps($1, $2, $3::integer[], $4)"
        many = len(taken)
        assert value(db, settling, ids, names, [None] * many, ["1"] * many) == many
    assert {run_of(db, run)["state"] for run in runs} == {"completed"}


def test_conditions(db: Database) -> None:
    """What is missing, also because it was skipped, is equal to nothing."""
    unmet = {"of": "a", "path": ["lang"], "equals": "de"}
    conditions = {
        "equal": {"of": "a", "path": ["lang"], "equals": "en"},
        "one_is_not_true": {"of": "a", "path": ["one"], "equals": True},
        "has": {"of": "a", "path": [], "has": {"tags": ["y"]}},
        "not_missing": {"not": {"of": "a", "path": ["no"], "equals": None}},
        "null_is_there": {"of": "a", "path": ["null"], "equals": None},
        "both": {"all": [{"of": "input", "path": [], "equals": 1}, {"not": unmet}]},
        "skipped": {"of": "s", "path": [], "equals": None},
        "not_skipped": {"not": {"of": "s", "path": [], "has": {}}},
    }
    register(db, step("a"), step("s", "a", when=unmet), *(
        step(name, "a", "s", when=when) for name, when in conditions.items()
    ))  # fmt: skip
    run = start(db, 1)
    settle(db, take_one(db), {"lang": "en", "one": 1, "tags": ["x", "y"], "null": None})
    met = {"equal", "has", "not_missing", "null_is_there", "both", "not_skipped"}
    assert {task["step"] for task in tasks(db)} == met
    assert {name for name, state in steps(db, run).items() if state == "skipped"} == {*conditions, "s"} - met


@pytest.mark.parametrize(
    ("on_unmet", "ends"),
    [
        ("skip", {"b": "skipped", "c": "started", "d": "waiting"}),
        ("skip_cascade", {"b": "skipped", "c": "skipped", "d": "skipped"}),
    ],
)
def test_a_step_that_is_skipped(db: Database, on_unmet: str, ends: dict[str, str]) -> None:
    never = {"of": "a", "path": [], "equals": "never"}
    register(db, step("a"), step("b", "a", when=never, on_unmet=on_unmet), step("c", "b"), step("d", "c"))
    run = start(db)
    settle(db, take_one(db))
    assert {name: state for name, state in steps(db, run).items() if name in {"b", "c"}} == {
        name: state for name, state in ends.items() if name in {"b", "c"}
    }
    assert run_of(db, run)["state"] == ("completed" if on_unmet == "skip_cascade" else "running")


def test_a_condition_that_must_be_met(db: Database) -> None:
    never = {"of": "a", "path": [], "equals": "never"}
    register(db, step("a"), step("b", "a", when=never, on_unmet="fail"), step("c", "b"))
    run = start(db)
    settle(db, take_one(db))
    found = run_of(db, run)
    assert (found["state"], found["culprit"], found["reason"]) == ("failed", "b", "condition_unmet")


@pytest.mark.parametrize("output", [{"a": 1}, "text", None, 3])
def test_a_map_over_what_is_no_list(db: Database, output: object) -> None:
    register(db, step("a"), map_over("m", "a"))
    run = start(db)
    settle(db, take_one(db), output)
    found = run_of(db, run)
    assert (found["state"], found["culprit"]) == ("failed", "m")
    assert found["reason"].startswith("a map needs a list, and a is ")


def test_a_map_of_a_map_and_its_order(db: Database) -> None:
    register(db, step("a"), map_over("m", "a"), map_over("n", "m"))
    run = start(db)
    settle(db, take_one(db), [3, 1, 2])
    for task in reversed(take(db)):
        settle(db, task, task["value"] * 10)
    for task in reversed(take(db)):
        settle(db, task, [task["item"], task["value"]])
    assert outputs(db, run)["n"] == [[0, 30], [1, 10], [2, 20]]


def test_a_window_lets_in_one_item_for_each_that_ends(db: Database) -> None:
    register(db, step("a"), map_over("m", "a"), m={"window": 2})
    run = start(db)
    settle(db, take_one(db), list("abcde"))
    seen = []
    while taken := take(db):
        seen.append([task["item"] for task in taken])
        for task in taken:
            settle(db, task, task["value"])
    assert seen == [[0, 1], [2, 3], [4]]
    assert outputs(db, run)["m"] == list("abcde")


def test_a_hundred_thousand_items(db: Database) -> None:
    register(db, step("a"), map_over("m", "a"), step("z", "m"))
    run = start(db)
    settle(db, take_one(db), list(range(ITEMS)))
    db.execute(
        b"with gone as (delete from pgmq.q_shop returning message)"
        b" select postmill._settle_steps(array_agg($1::bigint), array_agg('m'::text),"
        b" array_agg((message ->> 'item')::integer), array_agg(message ->> 'value')) from gone",
        [run],
    )
    assert [task["step"] for task in tasks(db)] == ["z"]
    assert outputs(db, run)["m"] == list(range(ITEMS))


def test_a_chain_of_a_thousand_steps(db: Database) -> None:
    """Also where all of it is skipped at once: a cascade has no limit of depth."""
    never = {"of": "s0", "path": [], "equals": 1}
    chain = [step(f"s{place}", f"s{place - 1}") for place in range(1, DEPTH)]
    register(db, step("s0"), *chain)
    register(db, step("s0"), {**chain[0], "when": never, "on_unmet": "skip_cascade"}, *chain[1:], flow="cut")
    run, cut = start(db), start(db, flow="cut")
    settle(db, take_one(db, "cut"))
    for place in range(DEPTH):
        settle(db, {"run": run, "step": f"s{place}"})
    assert run_of(db, run)["state"] == run_of(db, cut)["state"] == "completed"
    skipped = "select count(*) from postmill.steps where run_id = $1 and state = 'skipped'"
    assert value(db, skipped, cut) == DEPTH - 1


def everything(db: Database) -> list[Any]:
    """All that a run is made of."""
    return [
        rows(db, f"select * from postmill.{table} order by 1, 2") for table in ("runs", "steps", "items")
    ] + [tasks(db)]


@pytest.mark.parametrize(
    "forged",
    [
        {"run": 10**12, "step": "a"},
        {"run": None, "step": "a"},
        {"step": None},
        {"step": "lacks"},
        {"step": "waits"},
        {"step": "done"},
        {"step": "m"},
        {"step": "m", "item": -1},
        {"step": "m", "item": 2},
        {"step": "m", "item": 99},
        {"step": "m", "item": 0},
        {"step": "plain", "item": 0},
    ],
)
def test_a_message_that_is_forged_changes_nothing(db: Database, forged: dict[str, Any]) -> None:
    """Item 0 of the map has ended, and 2 waits for its place in the window."""
    register(
        db,
        step("done"),
        map_over("m", "done"),
        step("plain", "done"),
        step("waits", "m", "plain"),
        m={"window": 1},
    )
    run = start(db)
    settle(db, take_one(db), ["x", "y", "z"])
    item, _ = sorted(take(db), key=lambda task: task["step"])
    settle(db, item)
    before = everything(db)
    for act in (settle, fail):
        act(db, {"run": run, **forged})
        assert everything(db) == before


def test_a_task_that_is_doubled_counts_once(db: Database) -> None:
    """In one settlement, and in two."""
    register(db, step("a"), map_over("m", "a"), step("z", "m"))
    run = start(db)
    (task,) = take(db)
    pair = (
        "select postmill._settle_steps("
        "array[$1, $1]::bigint[], array[$2, $2], array[$3, $3]::integer[], $4::text[])"
    )
    db.execute(pair.encode(), [run, "a", None, [json.dumps([1, 2])] * 2])
    settle(db, task, "late")
    first, _ = take(db)
    db.execute(pair.encode(), [run, "m", first["item"], ["10", "11"]])
    settle(db, first, "late")
    assert row(db, "select tasks_left from postmill.steps where step = 'm'") == {"tasks_left": 1}
    assert outputs(db, run) == {"a": [1, 2]}


def test_a_step_that_ends_after_its_run_keeps_its_output(db: Database) -> None:
    register(db, step("a"), step("b"), step("c", "b"))
    run = start(db)
    first, late = take(db)
    fail(db, first)
    settle(db, late, "done all the same")
    assert outputs(db, run) == {"b": "done all the same"}
    assert (run_of(db, run)["state"], tasks(db)) == ("failed", [])


def test_a_queue_that_was_dropped_fails_its_runs_and_no_others(db: Database) -> None:
    register(db, step("a"), step("b", "a"), b={"queue": "lost"})
    register(db, step("a"), step("b", "a"), flow="other")
    run, other = start(db), start(db, flow="other")
    db.execute(b"select pgmq.drop_queue('lost')")
    db.execute(
        b"select postmill._settle_steps($1, array['a', 'a'], array[null, null]::integer[], array['1', '1'])",
        [[run, other]],
    )
    found = run_of(db, run)
    assert (found["state"], found["culprit"]) == ("failed", "b")
    assert "no queue 'lost'" in found["reason"]
    assert tasks(db, "other")[-1] == {"run": other, "step": "b"}


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
@pytest.mark.parametrize("act", ["settle", "fail"])
def test_a_transaction_that_sees_only_its_beginning_is_refused(db: Database, level: str, act: str) -> None:
    register(db, step("a"))
    run = start(db)
    with refused("PM005", f"a transaction that is {level}"), db.transaction():
        db.execute(f"set transaction isolation level {level}".encode())
        {"settle": settle, "fail": fail}[act](db, {"run": run, "step": "a"})
