"""Steering runs of durable functions: they begin again from their records under a new number."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.sql.asking import Database, column, row, rows, value
from tests.sql.flow_scene import register, run_of, start, state, steps, take, take_one, tasks
from tests.sql.test_run_queues import sweep

FLOW = "book"


def begin(db: Database) -> int:
    register(db, flow=FLOW, kind="workflow")
    return start(db, {"n": 1}, flow=FLOW)


def checkpoint(db: Database, run: int, wake: int, name: str, how: str = "completed") -> None:
    db.execute(
        b"select postmill._write_checkpoints"
        b"($1, $2, $3, $4, '{null}', '{null}', '{null}', '{null}', '{null}', '{null}', '{t}')",
        [[run], [wake], [name], [how]],
    )


def park(db: Database, run: int, wake: int, **wait: Any) -> None:
    db.execute(
        b"select postmill._park_runs($1, $2, $3::text[]::jsonb[])",
        [[run], [wake], [json.dumps([{"step": "w", **wait}])]],
    )


def end(
    db: Database, run: int, wake: int, how: str, culprit: str | None = None, caught: list[str] | None = None
) -> None:
    said = None if caught is None else json.dumps(caught)
    db.execute(
        b"select postmill._end_runs_of_workflows($1, $2, $3, $4, $5, $6, $7)",
        [[run], [wake], [how], ["1" if how == "completed" else None], ["it broke"], [culprit], [said]],
    )


def wake_of(db: Database, run: int) -> int:
    return int(value(db, "select wake from postmill.runs where run_id = $1", run))


def test_a_waiting_run_is_paused_signalled_and_resumed(db: Database) -> None:
    run = begin(db)
    take(db, FLOW)
    park(db, run, 0, signal="paid")
    assert run_of(db, run)["blocked"] == "waiting for signal paid"
    db.execute(b"select postmill.pause_run($1)", [run])
    assert value(db, "select postmill.signal_run($1, 'paid', '1')", run)
    assert tasks(db, FLOW) == []
    db.execute(b"select postmill.resume_run($1)", [run])
    assert (state(db, run), tasks(db, FLOW)) == ("running", [{"run": run, "wake": wake_of(db, run)}])


def test_a_run_that_was_paused_while_it_ran_begins_again_once(db: Database) -> None:
    """What the worker still holds is stale: it can neither end the run nor park it."""
    run = begin(db)
    take(db, FLOW)
    db.execute(b"select postmill.pause_run($1)", [run])
    checkpoint(db, run, 0, "charge")
    db.execute(b"select postmill.resume_run($1)", [run])
    end(db, run, 0, "completed")
    park(db, run, 0, signal="x")
    assert (state(db, run), tasks(db, FLOW)) == ("running", [{"run": run, "wake": 1}])
    end(db, run, 1, "completed")
    assert state(db, run) == "completed"


def test_a_retried_run_does_its_culprit_again(db: Database) -> None:
    run = begin(db)
    take(db, FLOW)
    checkpoint(db, run, 0, "charge")
    checkpoint(db, run, 0, "tolerated", "failed")
    checkpoint(db, run, 0, "ship", "failed")
    end(db, run, 0, "failed", "ship")
    assert value(db, "select postmill.retry_run($1)", run)
    assert steps(db, run) == {"charge": "completed", "tolerated": "failed"}
    assert tasks(db, FLOW) == [{"run": run, "wake": 1}]


@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize("culprit", ["ship", None])
def test_a_retry_keeps_the_failures_that_were_caught_and_no_others(
    db: Database, culprit: str | None, imported: bool
) -> None:
    """Two steps of a gather failed: the run failed at once with the second, as often as steps had failed. And
    one that its function had failed by a ``raise`` of its own did again what that had caught.
    """
    run = begin(db)
    take(db, FLOW)
    checkpoint(db, run, 0, "charge")
    for name in ("tolerated", "ship", "beside"):
        checkpoint(db, run, 0, name, "failed")
    end(db, run, 0, "failed", culprit, ["tolerated"] if culprit else ["tolerated", "ship"])
    if imported:
        run = value(db, "select postmill.import_run(postmill.export_run($1))", run)
    assert value(db, "select postmill.retry_run($1)", run)
    kept = {"charge": "completed", "tolerated": "failed"}
    assert steps(db, run) == (kept if culprit else {**kept, "ship": "failed"})


def test_a_retry_after_the_deadline_keeps_all_and_begins_the_deadline_anew(db: Database) -> None:
    """The failure was caught, or its step would have ended the run; and the run had no deadline any more. A
    second retry gives it no more time than the first.
    """
    register(db, flow=FLOW, kind="workflow")
    run = start(db, {"n": 1}, flow=FLOW, deadline=timedelta(hours=1))
    take(db, FLOW)
    checkpoint(db, run, 0, "charge", "failed")
    for _ in range(2):
        db.execute(b"update postmill.runs set deadline = '2001-01-01' where run_id = $1", [run])
        sweep(db)
        assert run_of(db, run)["reason"] == "its deadline was over"
        assert value(db, "select postmill.retry_run($1)", run)
        assert steps(db, run) == {"charge": "failed"}
        left = value(db, "select deadline - clock_timestamp() from postmill.runs where run_id = $1", run)
        assert timedelta(minutes=50) < left <= timedelta(hours=1)


def test_a_retry_after_a_cancel_keeps_the_failure_that_was_caught(db: Database) -> None:
    """A card was charged by the retry whose order had been invoiced, since the card was refused."""
    run = begin(db)
    take(db, FLOW)
    checkpoint(db, run, 0, "charge", "failed")
    checkpoint(db, run, 0, "invoice")
    db.execute(b"select postmill.cancel_run($1)", [run])
    assert value(db, "select postmill.retry_run($1)", run)
    assert steps(db, run) == {"charge": "failed", "invoice": "completed"}


def test_a_retry_leaves_a_child_alone_whose_failure_was_caught(db: Database) -> None:
    """It ran again, and its end counted for nothing."""
    parent = begin(db)
    take(db, FLOW)
    register(db, flow="child", kind="workflow")
    children = [
        value(db, "select postmill._start_child($1::bigint, 0, $2, 'child', '{}', true, null)", parent, name)
        for name in ("caught", "culprit")
    ]
    for child, name in zip(children, ("caught", "culprit"), strict=True):
        end(db, child, 0, "failed", "x")
        checkpoint(db, parent, 0, name, "failed")
    end(db, parent, 0, "failed", "culprit")
    assert value(db, "select postmill.retry_run($1)", parent)
    assert [state(db, child) for child in children] == ["failed", "running"]


def test_a_fork_has_what_was_recorded_before_its_step(db: Database) -> None:
    run = begin(db)
    take(db, FLOW)
    for name in ("charge", "pack", "ship"):
        checkpoint(db, run, 0, name)
    end(db, run, 0, "completed")
    forked = value(db, "select postmill.fork_run($1, 'pack', outputs => '{\"ship\": 7}')", run)
    assert steps(db, forked) == {"charge": "completed", "ship": "completed"}
    assert value(db, "select output from postmill.steps where run_id = $1 and step = 'ship'", forked) == 7
    assert take_one(db, FLOW) == {"run": forked, "wake": wake_of(db, forked)}
    found = row(db, "select input, state from postmill.runs where run_id = $1", forked)
    assert found == {"input": {"n": 1}, "state": "running"}


def test_a_run_whose_message_was_deleted_elsewhere_fails_and_one_that_waits_does_not(db: Database) -> None:
    """A sleep whose timer was deleted failed its run, and a wait with a time limit waited for ever: nothing
    is lost with a timer, so it is sent again.
    """
    lost, waiting, sleeping, limited, fine = (begin(db) for _ in range(5))
    (kept,) = [task for task in take(db, FLOW) if task["run"] == fine]
    db.execute(b"select postmill.send('book', $1::text::jsonb)", [json.dumps(kept)])
    park(db, waiting, 0, signal="paid")
    park(db, sleeping, 0, timeout_s=3600)
    park(db, limited, 0, signal="paid", timeout_s=7200)
    for _ in range(2):
        sweep(db)
        assert [state(db, run) for run in (lost, waiting, sleeping, limited, fine)] == [
            "failed", "waiting", "waiting", "waiting", "running",
        ]  # fmt: skip
        assert run_of(db, lost)["reason"] == "message deleted elsewhere"
        timers = rows(
            db,
            "select (q.message ->> 'run')::bigint as run, q.vt = run.due_at as same,"
            "       (q.message ->> 'wake')::integer = run.wake as newest"
            "  from pgmq.q_book as q join postmill.runs as run on run.run_id = (q.message ->> 'run')::bigint"
            " where q.vt > now() + interval '50 minutes' order by 1",
        )
        assert timers == [{"run": run, "same": True, "newest": True} for run in (sleeping, limited)]
        db.execute(b"delete from pgmq.q_book where vt > clock_timestamp()")
    sweep(db)
    db.execute(b"select postmill.signal_run($1, 'paid', '1')", [limited])
    assert (state(db, limited), run_of(db, limited)["due_at"]) == ("running", None)


def test_a_parent_that_waits_is_not_lost_and_its_retry_takes_the_child_along(db: Database) -> None:
    parent = begin(db)
    take(db, FLOW)
    register(db, flow="child", kind="workflow")
    child = value(db, "select postmill._start_child($1::bigint, 0, 'sub', 'child', '{}', true, null)", parent)
    park(db, parent, 0)
    sweep(db)
    assert (state(db, parent), state(db, child)) == ("waiting", "running")
    end(db, child, 0, "failed", "x")
    told = take_one(db, FLOW)
    assert told == {"run": parent, "step": "sub", "child": child}
    db.execute(b"select postmill._wake_parents($1, '{sub}', $2)", [[parent], [child]])
    end(db, parent, wake_of(db, parent), "failed", "sub")
    db.execute(b"select postmill.retry_run($1)", [parent])
    assert (state(db, parent), state(db, child)) == ("running", "running")
    assert column(db, "select step from postmill.steps where run_id = $1 and state = 'failed'", parent) == []


def test_a_run_that_was_cancelled_while_it_undid_undoes_the_rest(db: Database) -> None:
    """Its steps would have counted as done, which were undone."""
    run = begin(db)
    take(db, FLOW)
    checkpoint(db, run, 0, "book")
    checkpoint(db, run, 0, "pay", "failed")
    assert value(db, "select postmill._begin_undo($1::bigint, 0, 'no money', 'pay')", run)
    checkpoint(db, run, 0, "undo:give_back")
    db.execute(b"select postmill.cancel_run($1)", [run])
    assert value(db, "select postmill.retry_run($1)", run)
    assert not value(db, "select postmill._do_again($1::bigint, $2::integer, '{pay}')", run, wake_of(db, run))
    assert steps(db, run)["pay"] == "failed"


def test_what_begins_anew_finds_the_signals_that_it_had_taken(db: Database) -> None:
    """The run waited for ever: its first life had taken what it was sent."""
    run = begin(db)
    take(db, FLOW)
    value(db, "select postmill.signal_run($1, 'paid', '1', many => true)", run)
    checkpoint(db, run, 0, "w")
    db.execute(b"update postmill.signals set taken_by = 'w'")
    assert value(db, "select postmill._begin_undo($1::bigint, 0, 'no', null)", run)
    end(db, run, 0, "failed")
    assert value(db, "select postmill.retry_run($1)", run)
    assert (steps(db, run), column(db, "select taken_by from postmill.signals")) == ({}, [None])


def test_a_failure_from_before_a_retry_is_done_again_once(db: Database) -> None:
    run = begin(db)
    take(db, FLOW)
    checkpoint(db, run, 0, "a", "failed")
    db.execute(b"select postmill.cancel_run($1)", [run])
    assert value(db, "select postmill.retry_run($1)", run)
    take(db, FLOW)
    again = "select postmill._do_again($1::bigint, $2::integer, '{a}')"
    assert not value(db, again, run, 0)  # the message is stale
    assert value(db, again, run, 1)
    assert (steps(db, run), tasks(db, FLOW)) == ({}, [{"run": run, "wake": 2}])
    checkpoint(db, run, 2, "a", "failed")
    assert not value(db, again, run, 2)


def test_a_failure_counts_under_the_newest_message_of_a_run_that_goes_on(db: Database) -> None:
    run = begin(db)
    take(db, FLOW)
    db.execute(b"select postmill.pause_run($1)", [run])
    db.execute(b"select postmill.resume_run($1)", [run])
    for name, how in {"a": "failed", "b": "waiting", "c": "completed"}.items():
        checkpoint(db, run, 0, name, how)
    assert steps(db, run) == {"c": "completed"}
    db.execute(b"select postmill.cancel_run($1)", [run])
    for name, how in {"d": "failed", "e": "completed"}.items():
        checkpoint(db, run, 1, name, how)
    assert steps(db, run) == {"c": "completed", "e": "completed"}


def test_a_retry_of_a_cancelled_parent_takes_the_child_along_that_was_cancelled_with_it(db: Database) -> None:
    """The child's end was told to the parent that had been cancelled too, as a failure of its step: the retry
    kept that, and the parent failed at once.
    """
    parent = begin(db)
    take(db, FLOW)
    register(db, flow="child", kind="workflow")
    starting = "select postmill._start_child($1::bigint, 0, $2, 'child', '{}', true, null)"
    done, under_way = (value(db, starting, parent, name) for name in ("done", "under_way"))
    db.execute(b"select postmill.cancel_run($1)", [parent])
    db.execute(b"update postmill.runs set state = 'completed' where run_id = $1", [done])
    told = "select postmill._wake_parents($1, '{done,under_way}', $2)"
    db.execute(told.encode(), [[parent, parent], [done, under_way]])
    assert steps(db, parent) == {"done": "completed", "under_way": "cancelled"}
    db.execute(b"select postmill.retry_run($1)", [parent])
    assert (state(db, parent), state(db, under_way)) == ("running", "running")
    assert steps(db, parent) == {"done": "completed", "under_way": "waiting"}


def test_a_run_that_goes_on_is_imported_paused(db: Database) -> None:
    run = begin(db)
    checkpoint(db, run, 0, "charge")
    take(db, FLOW)
    document = value(db, "select postmill.export_run($1)::text", run)
    twin = value(db, "select postmill.import_run($1::text::jsonb)", document)
    assert (state(db, twin), steps(db, twin), tasks(db, FLOW)) == ("paused", {"charge": "completed"}, [])
    db.execute(b"select postmill.resume_run($1)", [twin])
    assert take_one(db, FLOW)["run"] == twin


@pytest.mark.parametrize(("ended", "goes_on"), [(False, "resume_run"), (True, "retry_run")])
def test_an_imported_run_starts_anew_what_it_waited_for_elsewhere(
    db: Database, *, ended: bool, goes_on: str
) -> None:
    """It waited for a run that is not in this database, and failed: "message deleted elsewhere"."""
    run = begin(db)
    take(db, FLOW)
    register(db, flow="child", kind="workflow")
    starting = "select postmill._start_child($1::bigint, $2::integer, 'sub', 'child', '{}', true, '[\"{}\"]')"
    child = value(db, starting, run, 0)
    park(db, run, 0, signal="paid")
    if ended:
        db.execute(b"select postmill.cancel_run($1)", [run])
    document = value(db, "select postmill.export_run($1)::text", run)
    twin = value(db, "select postmill.import_run($1::text::jsonb)", document)
    db.execute(f"select postmill.{goes_on}($1)".encode(), [twin])
    assert steps(db, twin) == {"w": "waiting"}
    assert value(db, starting, twin, wake_of(db, twin)) not in {child, None}
    assert steps(db, twin) == {"sub": "waiting", "w": "waiting"}
