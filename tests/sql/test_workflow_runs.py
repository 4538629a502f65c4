"""What workers write down of runs of workflows: under the newest message only, and nothing twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sql.asking import Database, column, row, rows, value
from tests.sql.flow_scene import hold, register, start, take, take_one, tasks

PARK = "select postmill._park_runs(array[$1::bigint], array[$2::integer], array[$3::text::jsonb])"
END = (
    "select postmill._end_runs_of_workflows(array[$1::bigint], array[$2::integer], array[$3], array[$4],"
    " array[$5], array[null])"
)
LOAD = "select * from postmill._load_runs(array[$1::bigint], array[$2::integer], array['shop'])"
CHILD = "select postmill._start_child($1, $2, $3, 'shop', $4::text::jsonb, $5, null)"
WAKE_PARENT = "select postmill._wake_parents(array[$1::bigint], array[$2], array[$3::bigint])"


@pytest.fixture
def run(db: Database) -> int:
    """A run of a workflow whose first message was claimed."""
    register(db, kind="workflow")
    made = start(db, {})
    take(db)
    return made


def waits(*each: dict[str, Any]) -> str:
    """What a run waits for, as a worker says it."""
    return json.dumps(each)


def state(db: Database, run: int) -> tuple[str, int]:
    """The run's state and the number of its newest message."""
    found = row(db, "select state, wake from postmill.runs where run_id = $1", run)
    return found["state"], found["wake"]


def test_a_run_that_waits_is_running_again_once_its_newest_message_is_claimed(db: Database, run: int) -> None:
    value(db, PARK, run, 0, waits({"step": "sleep", "timeout_s": 0}))
    assert state(db, run) == ("waiting", 1)
    assert tasks(db) == [{"run": run, "wake": 1}]
    assert row(db, LOAD, run, 0)["live"] is False
    assert state(db, run) == ("waiting", 1)
    loaded = row(db, LOAD, run, 1)
    assert (loaded["live"], loaded["steps"], loaded["states"]) == (True, ["sleep"], ["waiting"])
    assert loaded["waited_s"][0] >= 0
    assert state(db, run) == ("running", 1)


def test_a_worker_that_lacks_the_flow_holds_the_wake_for_the_queue_where_it_belongs(
    db: Database, run: int
) -> None:
    """Its message was moved into the queue of another flow, whose worker set the run to running and could
    never run it: held, and sent again to the wrong queue, for ever.
    """
    value(db, PARK, run, 0, waits({"step": "a", "signal": "s", "timeout_s": 90}))
    wake = take_one(db)
    loaded = row(db, LOAD.replace("'shop'", "'other'"), run, 1)
    assert (loaded["live"], loaded["flow"], state(db, run)) == (True, "shop", ("waiting", 1))
    assert column(db, "select waits_for from postmill.runs") == [["s"]]
    hold(db, wake, "version")
    register(db, kind="workflow")
    assert tasks(db) == [wake]


def test_of_several_waits_the_earliest_time_counts_and_the_first_reckoning_stays(
    db: Database, run: int
) -> None:
    value(
        db, PARK, run, 0, waits({"step": "a", "signal": "s", "timeout_s": 90}, {"step": "b", "timeout_s": 50})
    )
    due = (
        "select extract(epoch from q.vt - s.started_at)::integer as due"
        " from pgmq.q_shop as q, postmill.steps as s where s.step = 'b' order by msg_id"
    )
    assert column(db, due) == [50]
    assert column(db, "select waits_for from postmill.runs") == [["s"]]
    row(db, LOAD, run, 1)
    db.execute(b"update postmill.steps set started_at = started_at - interval '30 s'")
    value(db, PARK, run, 1, waits({"step": "a", "signal": "s", "timeout_s": 90}))
    assert column(db, "select round(extract(epoch from vt - clock_timestamp()) / 10) from pgmq.q_shop") == [
        5,
        6,
    ]


def test_what_is_stale_changes_nothing(db: Database, run: int) -> None:
    value(db, PARK, run, 0, waits({"step": "a", "signal": "s"}))
    for wake, call in ((0, PARK), (7, PARK)):
        value(db, call, run, wake, waits({"step": "b", "timeout_s": 1}))
    value(db, END, run, 0, "completed", "1", None)
    assert value(db, "select postmill._begin_undo($1, 0, 'no', null)", run) is False
    assert value(db, CHILD, run, 0, "c", "{}", True) is None
    assert state(db, run) == ("waiting", 1)
    assert column(db, "select step from postmill.steps") == ["a"]


def test_a_run_ends_once(db: Database, run: int) -> None:
    value(db, END, run, 0, "completed", "false", None)
    value(db, END, run, 0, "failed", None, "too late")
    assert row(db, "select state, output, reason from postmill.runs") == {
        "state": "completed", "output": False, "reason": None,
    }  # fmt: skip


def test_a_child_is_started_once_and_its_end_is_the_steps_outcome(db: Database, run: int) -> None:
    child = value(db, CHILD, run, 0, "c", '{"n": 1}', True)
    assert value(db, CHILD, run, 0, "c", '{"n": 1}', True) == child
    take(db)
    value(db, PARK, run, 0, waits({"step": "c"}))
    assert state(db, run) == ("waiting", 1)
    value(db, END, child, 0, "completed", "null", None)
    assert take(db) == [{"run": run, "step": "c", "child": child}]
    value(db, WAKE_PARENT, run, "c", child)
    value(db, WAKE_PARENT, run, "c", child)
    assert take(db) == [{"run": run, "wake": 2}]
    found = row(db, "select state, output, reason from postmill.steps where run_id = $1", run)
    assert found == {"state": "completed", "output": None, "reason": None}


def test_a_forged_end_of_a_child_is_none(db: Database, run: int) -> None:
    child = value(db, CHILD, run, 0, "c", "{}", True)
    stranger = start(db, {})
    value(db, END, stranger, 0, "completed", "1", None)
    value(db, PARK, run, 0, waits({"step": "c"}))
    for other in (child, stranger, 999):
        value(db, WAKE_PARENT, run, "c", other)
    assert column(db, "select state from postmill.steps where step = 'c'") == ["waiting"]
    assert state(db, run) == ("waiting", 1)


def test_a_child_that_ends_before_the_run_is_parked_lets_it_go_on_at_once(db: Database, run: int) -> None:
    child = value(db, CHILD, run, 0, "c", "{}", True)
    value(db, END, child, 0, "failed", None, "no luck")
    value(db, WAKE_PARENT, run, "c", child)
    take(db)
    value(db, PARK, run, 0, waits({"step": "c"}))
    assert take(db) == [{"run": run, "wake": 1}]
    assert column(db, "select reason from postmill.steps where step = 'c'") == [
        f"run {child} of shop has failed: no luck"
    ]


def test_a_run_whose_queue_is_gone_fails_and_says_so(db: Database, run: int) -> None:
    db.execute(b"select pgmq.drop_queue('shop')")
    value(db, PARK, run, 0, waits({"step": "sleep", "timeout_s": 1}))
    found = row(db, "select state, reason from postmill.runs")
    assert found == {"state": "failed", "reason": "there is no queue 'shop'"}


def test_a_run_that_was_undone_is_done_again_by_a_retry(db: Database, run: int) -> None:
    db.execute(b"insert into postmill.steps (run_id, step, state) values ($1, 'charge', 'completed')", [run])
    assert value(db, "select postmill._begin_undo($1, 0, 'no stock', 'ship')", run) is True
    assert value(db, "select postmill._begin_undo($1, 0, 'other', null)", run) is True
    value(db, END, run, 0, "failed", None, "no stock")
    value(db, "select postmill.retry_run($1)", run)
    assert rows(db, "select from postmill.steps") == []
    assert take(db) == [{"run": run, "wake": 1}]


def test_of_runs_that_have_ended_or_are_gone_is_told_how(db: Database, run: int) -> None:
    ended = "select run_id, state from postmill._ended_runs(array[$1, $2, 0]::bigint[]) order by run_id"
    other = start(db, {})
    value(db, "select postmill.cancel_run($1)", other)
    assert rows(db, ended, run, other) == [
        {"run_id": 0, "state": "gone"},
        {"run_id": other, "state": "cancelled"},
    ]


@pytest.mark.parametrize("awaited", [True, False])
@pytest.mark.parametrize("ends", ["completed", "failed", None])
def test_a_run_that_begins_anew_starts_other_runs(
    db: Database, run: int, *, awaited: bool, ends: str | None
) -> None:
    """What a child had done was undone, and the retry took its result as it was; with other input the key of
    the first child refused each retry. A child that goes on is not what the new run waits for.
    """
    first = value(db, CHILD, run, 0, "c", '{"n": 1}', awaited)
    db.execute(
        b"insert into postmill.steps (run_id, step, state, output)"
        b" values ($1, 'c', 'completed', to_jsonb($2))"
        b" on conflict do nothing",
        [run, first],
    )
    if ends:
        value(db, END, first, 0, ends, "1" if ends == "completed" else None, "x")
    value(db, "select postmill._begin_undo($1, 0, 'no stock', 'ship')", run)
    value(db, END, run, 0, "failed", None, "no stock")
    value(db, "select postmill.retry_run($1)", run)
    assert state(db, first)[0] == (ends or ("cancelled" if awaited else "running"))
    wake = state(db, run)[1]
    second = value(db, CHILD, run, wake, "c", '{"n": 2}', awaited)
    assert second not in {first, None}
    assert value(db, CHILD, run, wake, "c", '{"n": 2}', awaited) == second
    value(db, WAKE_PARENT, run, "c", first)
    assert rows(db, "select state from postmill.steps where run_id = $1", run) == (
        [{"state": "waiting"}] if awaited else []
    )
