"""What is read of runs: the lists, why a run is blocked, changes, and one run as a document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.asking import Database, column, refused, row, rows, value
from tests.sql.flow_scene import (
    QUEUE,
    fail,
    finish,
    hold,
    make,
    map_over,
    outputs,
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


def blocked(db: Database, run: int) -> Any:
    return run_of(db, run)["blocked"]


def work(db: Database, queue: str = QUEUE) -> None:
    """A worker of the queue is there."""
    db.execute(
        b"insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent)"
        b" values ($1, 'f', 'h', 1, '1', 1)",
        [queue],
    )


def test_a_run_says_why_it_does_not_go_on(db: Database) -> None:
    register(
        db,
        step("a"),
        step("w", "a", kind="wait", signal="approved"),
        step("z", "w", kind="sleep"),
        z={"delay_s": 3600},
    )
    run = start(db)
    assert blocked(db, run) == "no worker for queue shop"
    work(db)
    assert blocked(db, run) is None
    db.execute(b"select postmill.pause('shop')")
    assert blocked(db, run) == "queue shop is paused"
    db.execute(b"select postmill.resume('shop')")
    (task,) = take(db)
    hold(db, task, "version")
    assert blocked(db, run) == "no worker for version 1 (step a)"
    register(
        db,
        step("a"),
        step("w", "a", kind="wait", signal="approved"),
        step("z", "w", kind="sleep"),
        z={"delay_s": 3600},
    )
    settle(db, take_one(db))
    assert blocked(db, run) == "waiting for signal approved (step w)"
    db.execute(b"select postmill.signal_run($1, 'approved', '1')", [run])
    assert blocked(db, run).startswith("sleeping until 20")
    db.execute(b"select postmill.pause_run($1, 'night')", [run])
    assert blocked(db, run).endswith(": night")
    db.execute(b"select postmill.cancel_run($1)", [run])
    assert blocked(db, run) is None


def test_a_run_with_one_step_that_goes_on_is_not_blocked(db: Database) -> None:
    register(db, step("w", kind="wait", signal="s"), step("a"))
    run = start(db)
    work(db)
    assert blocked(db, run) is None


def test_steps_tell_culprit_collateral_and_decision_apart(db: Database) -> None:
    no = {"of": "a", "path": [], "equals": "no"}
    register(
        db, step("a"), step("skip", "a", when=no), step("bad", "a"), step("other", "a"), step("last", "other")
    )
    run = start(db)
    settle(db, take_one(db))
    fail(db, next(task for task in take(db) if task["step"] == "bad"))
    assert steps(db, run) == {
        "a": "completed",
        "skip": "skipped",
        "bad": "failed",
        "other": "cancelled",
        "last": "cancelled",
    }


def changes(db: Database, run: int | None, since: str | None = None) -> tuple[str, list[dict[str, Any]]]:
    found = row(db, "select next::text, changes from postmill.run_changes($1, $2::text::xid8)", run, since)
    return found["next"], found["changes"]


SAY = b"insert into postmill.run_events (run_id, name, value) values ($1, 'late', '1')"


class Watcher:
    """It reads on from where it was, and drops what it has seen: any open transaction of the server, of
    another database too, has it told twice.
    """

    def __init__(self, db: Database, run: int | None) -> None:
        self.db, self.run = db, run
        self.position: str | None = None
        self.seen: list[dict[str, Any]] = []

    def read(self) -> list[dict[str, Any]]:
        self.position, found = changes(self.db, self.run, self.position)
        new = [each for each in found if each not in self.seen]
        self.seen += new
        return new


def test_changes_of_a_run_are_told_from_where_the_last_read_ended(db: Database) -> None:
    register(db, step("a"), step("b", "a"))
    run = start(db)
    watcher = Watcher(db, run)
    assert [(each["what"], each.get("step"), each["state"]) for each in watcher.read()] == [
        ("step", "a", "started"),
        ("run", None, "running"),
    ]
    settle(db, take_one(db))
    db.execute(
        b"insert into postmill.run_events (run_id, step, name, value) values ($1, 'a', 'said', '7')", [run]
    )
    assert [(each["step"], each.get("state"), each.get("value")) for each in watcher.read()] == [
        ("a", "completed", None),
        ("b", "started", None),
        ("a", None, 7),
    ]
    assert watcher.read() == []


def test_changes_that_are_committed_late_are_told(db: Database, connect: Callable[[], Database]) -> None:
    """They are older than what was read before them, and another transaction keeps the horizon back."""
    register(db, step("a"), step("b"))
    run = start(db)
    a, b = take(db)
    late, pinning = connect(), connect()
    watcher = Watcher(db, run)
    with pinning.transaction():
        pinning.execute(b"select pg_current_xact_id()")
        with late.transaction():
            late.execute(SAY, [run])
            settle(db, a)
            assert "late" not in [each.get("name") for each in watcher.read()]
        assert [each.get("name") for each in watcher.read()] == ["late"]
        settle(db, b)
        assert [each["state"] for each in watcher.read()] == ["completed", "completed"]


def test_changes_of_all_runs_are_of_runs(db: Database) -> None:
    make(db, "completed")
    live = make(db, "running")
    watcher = Watcher(db, None)
    assert [each["run_id"] for each in watcher.read()] == [live]
    db.execute(b"select postmill.cancel_run($1)", [live])
    assert (live, "cancelled") in [(each["run_id"], each["state"]) for each in watcher.read()]


def test_changes_of_a_run_that_is_not_there(db: Database) -> None:
    with refused("PM009", "there is no run 5"):
        changes(db, 5)


def copied(db: Database, run: int) -> int:
    document = value(db, "select postmill.export_run($1)::text", run)
    return int(value(db, "select postmill.import_run($1::text::jsonb)", document))


def test_a_run_that_has_ended_is_imported_as_it_was(db: Database) -> None:
    register(db, step("l"), map_over("a", "l"))
    run = start(db, {"n": 1}, tags=["x"])
    finish(db, l=[1, 2])
    twin = copied(db, run)
    unlike = {"run_id", "changed", "key"}
    seen = [{k: v for k, v in run_of(db, each).items() if k not in unlike} for each in (run, twin)]
    assert seen[0] == seen[1]
    assert outputs(db, twin) == outputs(db, run) == {"l": [1, 2], "a": [1, 2]}
    assert tasks(db) == []


def test_a_run_that_goes_on_is_imported_paused_and_can_go_on(db: Database) -> None:
    register(db, step("a"), step("b", "a"), step("c", "b"))
    run = start(db, key="k")
    settle(db, take_one(db), None)
    twin = copied(db, run)
    assert state(db, twin) == "paused"
    mine = [task for task in take(db) if task["run"] == twin]
    for task in mine:
        hold(db, task, "paused")
    db.execute(b"select postmill.resume_run($1)", [twin])
    finish(db)
    assert (state(db, twin), outputs(db, twin)) == ("completed", {"a": None, "b": "b", "c": "c"})


def test_a_run_is_imported_where_its_flow_is_unknown(db: Database) -> None:
    document = value(db, "select postmill.export_run($1)", make(db, "failed"))
    document["version"] |= {"flow": "new", "queue": "new"}
    twin = value(db, "select postmill.import_run($1::text::jsonb)", json.dumps(document))
    assert (run_of(db, twin)["flow"], state(db, twin)) == ("new", "failed")
    db.execute(b"select postmill.retry_run($1)", [twin])
    finish(db, "new")
    assert state(db, twin) == "completed"


@pytest.mark.parametrize("document", ["{}", "[]", "null", '{"postmill_run": 1}', '{"postmill_run": 2}'])
def test_refuses_what_is_no_exported_run(db: Database, document: str) -> None:
    with refused("PM003", "no run that postmill.export_run has written"):
        db.execute(b"select postmill.import_run($1::text::jsonb)", [document])


def test_refuses_a_shape_that_the_flow_does_not_have_here(db: Database) -> None:
    document = value(db, "select postmill.export_run($1)", make(db, "failed"))
    document["version"]["shape"]["steps"][0]["name"] = "other"
    with refused("PM010", "has no such shape here"):
        db.execute(b"select postmill.import_run($1::text::jsonb)", [json.dumps(document)])


def steered(db: Database, action: str, **filters: Any) -> list[tuple[int, bool]]:
    named = "".join(f", {name} => ${place}" for place, name in enumerate(filters, 2))
    found = rows(db, f"select * from postmill.steer_runs($1{named})", action, *filters.values())
    return [(each["run_id"], each["done"]) for each in found]


def test_many_runs_are_steered_by_a_filter_after_a_dry_run(db: Database) -> None:
    register(db, step("a"))
    tagged, plain, other = start(db, tags=["eu"]), start(db), make(db, "running", flow="other")
    ended = make(db, "completed", flow="third")
    assert steered(db, "cancel", flow="shop") == [(tagged, False), (plain, False)]
    assert {state(db, run) for run in (tagged, plain, other)} == {"running"}
    assert steered(db, "pause", tag="eu", dry_run=False) == [(tagged, True)]
    assert steered(db, "resume", flow="shop", dry_run=False) == [(tagged, True)]
    assert steered(db, "cancel", state="running", most=1, dry_run=False) == [(tagged, True)]
    assert steered(db, "cancel", older_than="1 hour", dry_run=False) == []
    assert steered(db, "cancel", older_than="0 s", dry_run=False) == [(plain, True), (other, True)]
    assert steered(db, "retry", flow="shop") == []
    assert steered(db, "retry", flow="shop", state="cancelled", dry_run=False) == [
        (tagged, True),
        (plain, True),
    ]
    assert column(db, "select state from postmill.run_list order by run_id") == [
        "running",
        "running",
        "cancelled",
        "completed",
    ]
    assert ended


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("'delete', flow => 'x'", "told to 'delete'"),
        ("null, flow => 'x'", "told to null"),
        ("'cancel'", "which runs"),
        ("'cancel', state => 'dead'", "not a state of a run"),
        ("'cancel', older_than => '-1 s'", "no length of time"),
    ],
)
def test_refuses_to_steer_at_random(db: Database, call: str, says: str) -> None:
    with refused("PM003", says):
        db.execute(f"select * from postmill.steer_runs({call})".encode())


def test_only_runs_that_go_on_are_looked_into_for_their_state(db: Database) -> None:
    """A list of those that run asked each run ever kept: with 200,000 it was a time-out on the page."""
    register(db, step("a"))
    gone, goes_on = start(db), start(db)
    db.execute(b"select postmill.cancel_run($1)", (gone,))
    db.execute(
        b"create or replace function postmill._run_state(run postmill.runs) returns text language plpgsql as "
        b"$$ begin if run.ended_at is not null then raise 'it has ended'; end if; return 'waiting'; end $$"
    )
    assert column(db, "select run_id from postmill.run_list where state = 'waiting'") == [goes_on]
    assert column(db, "select run_id from postmill.run_list where state = 'cancelled'") == [gone]
    for action, told, found in (("cancel", "waiting", goes_on), ("retry", "cancelled", gone)):
        assert column(db, "select run_id from postmill.steer_runs($1, state => $2)", action, told) == [found]
