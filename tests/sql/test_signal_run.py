"""Signals of runs: the first counts, those of a queue are kept in order, and what waits for one goes on."""

from __future__ import annotations

import psycopg
import pytest

from tests.sql.asking import Database, column, row, rows, value
from tests.sql.flow_scene import finish, register, start, state, step, take, take_one, tasks

SIGNAL = "select postmill.signal_run($1, $2, $3::text::jsonb)"
MANY = "select postmill.signal_run($1, $2, $3::text::jsonb, many => true)"


def test_a_step_of_a_graph_that_waits_completes_with_it(db: Database) -> None:
    register(db, step("ask", kind="wait", signal="ok"), step("next", "ask"))
    run = start(db)
    assert tasks(db) == []
    assert value(db, SIGNAL, run, "ok", '{"by": "me"}') is True
    assert tasks(db) == [{"run": run, "step": "next"}]
    found = row(db, "select state, output from postmill.steps where step = 'ask'")
    assert (found["state"], found["output"]) == ("completed", {"by": "me"})
    assert value(db, SIGNAL, run, "ok", "2") is False
    finish(db)
    assert state(db, run) == "completed"
    assert value(db, SIGNAL, run, "ok", "1") is False


@pytest.mark.parametrize(
    ("name", "detail", "hint"),
    [
        ("aproved", "Its steps wait for: approved, paid.", "Did you mean approved?"),
        ("PAID", "Its steps wait for: approved, paid.", "Did you mean paid?"),
        ("x", "Its steps wait for: approved, paid.", "postmill run show 1"),
    ],
)
def test_a_signal_that_no_step_of_the_graph_waits_for_is_refused(
    db: Database, name: str, detail: str, hint: str
) -> None:
    register(db, step("ask", kind="wait", signal="approved"), step("buy", kind="wait", signal="paid"))
    with pytest.raises(psycopg.Error) as refused:
        value(db, SIGNAL, start(db), name, "1")
    said = refused.value.diag
    assert (refused.value.sqlstate, said.message_detail, said.message_hint) == ("PM010", detail, hint)
    assert value(db, "select count(*) from postmill.signals") == 0


def test_a_graph_without_a_wait_takes_no_signal(db: Database) -> None:
    register(db, step("a"))
    with pytest.raises(psycopg.Error, match="waits for no signal") as refused:
        value(db, SIGNAL, start(db), "a", "1")
    assert refused.value.diag.message_detail == "No step of its flow waits for a signal."


def test_a_workflow_takes_every_signal(db: Database) -> None:
    """What it waits for is known by its code alone."""
    register(db, kind="workflow")
    assert value(db, SIGNAL, start(db), "whatever", "1") is True


def test_a_plain_signal_is_for_all_steps_that_wait_and_one_of_a_queue_for_one(db: Database) -> None:
    waits = [step(name, kind="wait", signal=signal) for name, signal in
             (("a", "one"), ("b", "one"), ("c", "many"), ("d", "many"))]  # fmt: skip
    register(db, *waits)
    run = start(db)
    ended = "select step from postmill.steps where state = 'completed' order by step"
    value(db, SIGNAL, run, "one", "1")
    assert column(db, ended) == ["a", "b"]
    value(db, MANY, run, "many", "1")
    assert column(db, ended) == ["a", "b", "c"]
    value(db, MANY, run, "many", "2")
    assert column(db, ended) == ["a", "b", "c", "d"]
    assert column(db, "select taken_by from postmill.signals order by signal_id") == ["a", "c", "d"]


def test_a_paused_run_keeps_it_until_it_is_resumed(db: Database) -> None:
    register(db, kind="workflow")
    run = start(db)
    take(db)
    db.execute(b"select postmill._park_runs(array[$1::bigint], array[0], "
               b"array['[{\"step\": \"w\", \"signal\": \"ok\"}]'::jsonb])", [run])  # fmt: skip
    value(db, "select postmill.pause_run($1)", run)
    assert value(db, SIGNAL, run, "ok", "1") is True
    assert tasks(db) == []
    value(db, "select postmill.resume_run($1)", run)
    assert take_one(db) == {"run": run, "wake": 2}


def test_what_can_not_be_sent_says_why(db: Database) -> None:
    register(db, kind="workflow")
    run = start(db)
    for call, state_of, words in (
        ("signal_run(999, 'ok', '1')", "PM009", "there is no run 999"),
        ("signal_run(null, 'ok', '1')", "PM009", "there is no run null"),
        (f"signal_run({run}, '', '1')", "PM003", "a signal has a name and a value"),
        (f"signal_run({run}, 'ok', null)", "PM003", "a signal has a name and a value"),
    ):
        with pytest.raises(psycopg.Error, match=words) as refused:
            db.execute(f"select postmill.{call}".encode())
        assert refused.value.sqlstate == state_of
    db.execute(b"set default_transaction_isolation = 'repeatable read'")
    with pytest.raises(psycopg.Error, match="can't be settled in a transaction that is repeatable read"):
        value(db, SIGNAL, run, "ok", "1")
    assert rows(db, "select from postmill.signals") == []
