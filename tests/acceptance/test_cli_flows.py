"""Flows and their runs from the command line."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from postmill.flows import Flow
from postmill.model.errors import DatabaseUnavailable
from tests.acceptance.test_examples_docs import ROOT, blocks
from tests.sql.flow_scene import fail, finish, map_over, register, settle, start, state, step, take, take_one

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Cli

Database = psycopg.Connection[dict[str, Any]]

PROGRAM = """
from postmill.flows import Flow

site = Flow("site", input=dict)

@site.step
async def fetch(url: str = site.input["url"]) -> list[int]: return [1, 2, 3]

@site.map
async def double(item: int = fetch.each) -> int: return item * 2

@site.step
async def total(items: list[int] = double.out) -> int: return sum(items)
"""


def test_a_run_from_its_start_to_its_end(cli: Cli, db: Database) -> None:
    register(db, step("a"), step("b", "a"))
    made = cli("run", "start", "shop", '{"n": 1}', "--key", "k", "--tag", "eu", "--priority", "3")
    assert (made.code, made.out, made.err) == (0, "1\n", "Started run 1 of shop.\n")
    assert cli("run", "start", "shop", '{"n": 1}', "--key", "k").out == "1\n"
    (listed,) = cli("run", "list", "--tag", "eu", "--blocked", "--json").json
    assert (listed["state"], listed["blocked"]) == ("running", "no worker for queue shop")
    assert cli("run", "pause", "1", "--reason", "night", "--json").json == [
        {"run_id": 1, "flow": "shop", "state": "paused", "done": True}
    ]
    assert cli("run", "list", "--state", "paused", "--json").json[0]["reason"].endswith(": night")
    assert cli("run", "show", "1", "--json").json["reason"].endswith(": night")
    assert cli("run", "resume", "1").code == 0
    fail(db, take_one(db))
    watched = cli("run", "watch", "1")
    assert (watched.code, watched.error_code) == (9, "run-failed")
    assert watched.out == "a failed it broke\nrun 1 failed it broke\n"
    assert cli("run", "retry", "1", "--json").json[0]["done"] is True
    finish(db)
    shown = cli("run", "show", "1", "--json").json
    assert (shown["state"], shown["input"]) == ("completed", {"n": 1})
    assert [(each["step"], each["state"], each["output"]) for each in shown["steps"]] == [
        ("a", "completed", "a"),
        ("b", "completed", "b"),
    ]
    assert "completed" in cli("run", "show", "1").out
    assert [json.loads(line)["what"] for line in cli("run", "watch", "1", "--json").out.splitlines()] == [
        "step",
        "step",
        "run",
    ]


def test_an_input_that_does_not_fit_starts_nothing(cli: Cli, db: Database) -> None:
    register(db, step("a"), input={"accepts": {"type": "string"}})
    start(db, "fits")
    for command in (
        ("run", "start", "shop", "7"),
        ("run", "fork", "1", "--input", "7"),
        ("schedule", "add-flow", "nightly", "@daily", "shop", "7"),
    ):
        refused = cli(*command)
        assert (refused.code, refused.error_code) == (2, "invalid-payload")
        assert "The input does not fit the flow 'shop': $: expected string, got number." in refused.err
    assert "postmill flow show shop tells the type." in refused.err
    assert cli("flow", "show", "shop", "--json").json["input"] == {"type": "string"}
    assert len(cli("run", "list", "--json").json) == 1


def test_the_result_of_a_run(cli: Cli, db: Database) -> None:
    """Its JSON is the database's: a large number is not rounded."""
    register(db, step("a"), step("b", "a"))
    run = str(start(db))
    late = cli("run", "result", run, "--wait", "0.3s")
    assert (late.code, late.out, late.error_code) == (7, "", "result-timed-out")
    assert "within 0.3 s" in late.err
    assert "within" not in cli("run", "result", run).err
    finish(db)
    assert cli("run", "result", run).out == '{"b": "b"}\n'
    assert cli("run", "result", run, "--wait", "1h", "--json").json == {"run_id": 1, "result": {"b": "b"}}
    db.execute(b"update postmill.steps set output = '12345678901234567890.50' where step = 'b'")
    assert cli("run", "result", run).out == '{"b": 12345678901234567890.50}\n'
    start(db)
    fail(db, take_one(db))
    assert (cli("run", "result", "2").code, cli("run", "result", "2").error_code) == (9, "run-failed")
    start(db)
    cli("run", "cancel", "3")
    assert (cli("run", "result", "3").code, cli("run", "result", "9").code) == (10, 3)


def test_a_run_is_waited_for_until_its_end(cli: Cli, db: Database, spawn: Any, database_url: str) -> None:
    register(db, step("a"))
    start(db)
    environment = {"POSTMILL_DB_URL": database_url}
    watching = spawn("run", "watch", "1", env=environment)
    waiting = spawn("run", "result", "1", "--wait", "1h", env=environment)
    assert watching.stderr.readline() == "Run 1: no worker for queue shop\n"
    finish(db)
    assert waiting.communicate(timeout=30) == ('{"a": "a"}\n', "")
    out, err = watching.communicate(timeout=30)
    assert (out.splitlines()[-1], err) == ("run 1 completed", "")  # it was said once


def test_what_has_failed_of_a_run_is_shown(cli: Cli, db: Database) -> None:
    register(db, step("l"), map_over("m", "l", on_dead="collect"), step("b", "m"))
    run = str(start(db))
    settle(db, take_one(db), list(range(30)))
    for task in take(db):
        if task["item"] < 25:
            fail(db, task, f"page {task['item']} is gone")
    shown = cli("run", "show", run, "--json").json
    (m,) = [each for each in shown["steps"] if each["step"] == "m"]
    assert (m["tasks"], m["tasks_done"], m["tasks_failed"]) == (30, 25, 25)
    assert len(shown["failures"]) == 20
    assert (shown["failures"][3]["item"], shown["failures"][3]["reason"]) == (3, "page 3 is gone")
    assert "failures\n" in cli("run", "show", run).out
    assert "page 3 is gone" in cli("run", "show", run).out


def test_an_attempt_that_will_be_repeated_is_shown(cli: Cli, db: Database) -> None:
    """Not that of another run on the same queue, nor a lease that was lost."""
    register(db, step("a"))
    start(db)
    start(db)
    db.execute(
        b"insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message)"
        b" select 'shop', msg_id, 1, kind, 'OSError', 'run ' || (message ->> 'run')"
        b" from pgmq.q_shop cross join unnest(array['error', 'lost_lease']) as kind"
    )
    (failed,) = cli("run", "show", "1", "--json").json["failures"]
    assert (failed["step"], failed["attempt"], failed["reason"]) == ("a", 1, "OSError: run 1")
    finish(db)
    assert cli("run", "show", "1", "--json").json["failures"] == []


def test_a_graph_that_only_waits_is_waiting(cli: Cli, db: Database) -> None:
    steps = step("w", kind="wait", signal="paid"), step("a"), step("s", "a", kind="sleep")
    register(db, *steps, s={"delay_s": 600})
    start(db)
    listed = "run", "list", "--json"
    assert cli(*listed).json[0]["state"] == "running"
    settle(db, take_one(db))
    assert [each["state"] for each in cli(*listed).json] == ["waiting"]
    assert cli("run", "show", "1", "--json").json["state"] == "waiting"
    assert len(cli("run", "list", "--state", "waiting", "--json").json) == 1
    assert cli("run", "list", "--state", "running", "--json").json == []
    assert len(cli("run", "cancel", "--state", "running", "--dry-run", "--json").json) == 0
    db.execute(b"update postmill.steps set started_at = started_at - interval '1 hour' where step = 's'")
    assert cli(*listed).json[0]["state"] == "running"
    db.execute(b"update postmill.steps set started_at = clock_timestamp() where step = 's'")
    assert cli("run", "cancel", "--state", "waiting", "--yes", "--json").json[0]["done"] is True
    assert cli(*listed).json[0]["state"] == "cancelled"


def test_watching_ends_while_another_transaction_is_open(cli: Cli, db: Database) -> None:
    """It has every later change told again, and the command waited for a read without any."""
    register(db, step("a"))
    run = start(db)
    with psycopg.connect(db.info.dsn, password=db.info.password) as other:
        other.execute("select pg_current_xact_id()")
        finish(db)
        assert cli("run", "watch", str(run)).out == "a completed\nrun 1 completed\n"


def test_many_runs_are_steered_after_a_question(cli: Cli, db: Database) -> None:
    register(db, step("a"))
    runs = [start(db) for _ in range(3)]
    assert cli("run", "cancel", "--flow", "shop").error_code == "refused"
    assert len(cli("run", "cancel", "--flow", "shop", "--dry-run", "--json").json) == 3
    assert {state(db, run) for run in runs} == {"running"}
    assert cli("run", "cancel", "--flow", "shop", "--yes").code == 0
    assert {state(db, run) for run in runs} == {"cancelled"}
    assert cli("run", "cancel").code == 2
    assert cli("run", "cancel", "1", "--flow", "shop").code == 2
    assert cli("run", "pause", "1").error_code == "refused"
    assert cli("run", "cancel", "99").error_code == "not-found"


def test_a_run_is_forked_exported_and_imported(cli: Cli, db: Database, tmp_path: Path) -> None:
    register(db, step("a"), step("b", "a"))
    run = start(db)
    finish(db)
    forked = cli("run", "fork", str(run), "b", "--outputs", '{"a": [0]}', "--json").json[0]["run_id"]
    assert take(db) == [{"run": forked, "step": "b"}]
    (tmp_path / "run.json").write_text(cli("run", "export", str(run)).out)
    (made,) = cli("run", "import", "run.json", "--json").json
    assert made["state"] == "completed"
    assert cli("run", "import", "-", stdin=(tmp_path / "run.json").read_text()).code == 0
    assert cli("run", "import", "-", stdin=b"\xff{").code == 2
    assert cli("run", "import", "nope.json").error_code == "not-found"
    assert cli("run", "fork", str(run), "x").error_code == "invalid-option"


def test_what_a_run_waits_for_is_answered(cli: Cli, db: Database) -> None:
    register(db, step("w", kind="wait", signal="paid"), step("v", kind="wait", signal="approved"))
    run = str(start(db))
    assert cli("run", "approve", run).error_code == "refused"
    assert cli("run", "signal", run, "paid", '{"amount": 0}').code == 0
    assert cli("run", "signal", run, "paid").error_code == "refused"
    assert cli("run", "approve", run).code == 0
    shown = cli("run", "show", run, "--json").json
    assert {each["step"]: each["output"] for each in shown["steps"]} == {"w": {"amount": 0}, "v": True}
    assert cli("run", "approve", run).error_code == "not-found"


def test_a_misspelt_name_is_told_with_the_nearest(cli: Cli, db: Database) -> None:
    register(db, step("fetch"), step("w", kind="wait", signal="approved"))
    start(db)
    for arguments, near in (
        (("flow", "show", "shpo"), "shop"),
        (("flow", "graph", "Shop"), "shop"),
        (("run", "start", "shp"), "shop"),
        (("run", "fork", "1", "fecth"), "fetch"),
        (("run", "signal", "1", "aproved"), "approved"),
        (("schedule", "add-flow", "nightly", "0 2 * * *", "shoop"), "shop"),
    ):
        refused = cli(*arguments)
        assert f"Did you mean {near}?" in refused.err, (arguments, refused.err)
    assert "no version 9" in cli("flow", "show", "shop", "--version", "9").err
    assert cli("run", "start", "shop", "--version", "9").err.count("Its versions here: 1.") == 1
    assert "wait" in cli("run", "approve", "1", "--step", "v").err


def test_errors_call_things_by_their_names_in_flows(cli: Cli, db: Database) -> None:
    register(db, step("w", kind="wait", signal="approved"))
    start(db)
    for arguments, said in (
        (("run", "start", "shop", "{"), "The input is not JSON."),
        (("run", "fork", "1", "w", "--input", '"\\u0000"'), "The input contains a NUL character."),
        (("run", "fork", "1", "w", "--outputs", "x"), "The value of --outputs is not JSON."),
        (("run", "signal", "1", "approved", "nan"), "The value is not JSON."),
        (("schedule", "add-flow", "n", "0 2 * * *", "shop", "["), "The input is not JSON."),
        (("run", "resume", "99"), "postmill run list"),
    ):
        refused = cli(*arguments)
        assert said in refused.err, (arguments, refused.err)
        assert "payload" not in refused.err.lower().replace("code: invalid-payload", "")
        assert "select " not in refused.err
    cli("run", "cancel", "1")
    assert "What has ended goes on with: postmill run retry 1" in cli("run", "resume", "1").err


def test_flows_are_listed_compared_and_drawn(cli: Cli, db: Database) -> None:
    register(db, step("a"), step("old", "a"))
    met = {"of": "a", "path": ["lang"], "equals": "en"}
    register(db, step("a"), map_over("b", "a", when=met))
    start(db)
    (listed,) = cli("flow", "list", "--json").json
    assert (listed["flow"], listed["version"], listed["steps"], listed["live"]) == ("shop", 2, 2, 1)
    assert cli("flow", "show", "shop", "--version", "1", "--json").json["versions"] == [1, 2]
    assert 'a.lang == "en"' in cli("flow", "show", "shop").out
    assert [(each["change"], each["step"]) for each in cli("flow", "diff", "shop", "--json").json] == [
        ("removed", "old"),
        ("added", "b"),
    ]
    assert cli("flow", "graph", "shop").out == 'a\nb [map]  <- a  if a.lang == "en"\n'
    assert "s0 -->" in cli("flow", "graph", "shop", "--format", "mermaid").out
    register(db, flow="durable", kind="workflow")
    for form in ("text", "mermaid"):
        drawn = cli("flow", "graph", "durable", "--format", form)
        assert (drawn.code, drawn.out) == (0, "")
        assert "has no graph" in drawn.err
    assert cli("flow", "diff", "shop", "1", "9").error_code == "not-found"
    assert cli("flow", "show", "nope").error_code == "not-found"


def test_a_program_is_compared_and_its_flow_run(cli: Cli, db: Database, tmp_path: Path) -> None:
    (tmp_path / "flows_of_a_site.py").write_text(PROGRAM)
    target = "flows_of_a_site:site"
    assert cli("flow", "graph", target).out == "fetch\ndouble [map]  <- fetch\ntotal  <- double\n"
    assert cli("flow", "diff", target).error_code == "not-found"
    given = '{"url": "https://example.org"}'
    assert cli("flow", "run", target, given).out == "1\n"
    assert "same shape" in cli("flow", "diff", target).err
    watched = cli("flow", "run", target, given, "--watch")
    assert watched.code == 0, watched.err
    assert watched.out.splitlines()[-2:] == ["run 2 completed", '{"total": 12}']
    shown = cli("run", "show", "2", "--json").json
    assert [each["output"] for each in shown["steps"]] == [[1, 2, 3], [2, 4, 6], 12]


async def test_workers_that_have_ended_say_no_longer_where_this_process_sends(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A command ran in a process that went on: what this started later went to the command's database."""
    (tmp_path / "flows_of_a_site.py").write_text(PROGRAM)
    arguments = ("flow", "run", "flows_of_a_site:site", '{"url": "x"}', "--watch")
    assert (await asyncio.to_thread(cli, *arguments)).code == 0
    monkeypatch.setenv("POSTMILL_DB_URL", "postgresql://nobody@127.0.0.1:1/gone")
    with pytest.raises(DatabaseUnavailable):
        await Flow("site", input=dict).start({"url": "x"})


def test_the_flow_of_the_readme_runs_as_it_stands_there(cli: Cli, db: Database, tmp_path: Path) -> None:
    program = blocks(ROOT / "README.md", "python")[1]
    (tmp_path / "words.py").write_text(program)
    watched = cli("flow", "run", "words.py:words", '["words.py", "nothing.txt"]', "--watch")
    assert watched.code == 0, watched.err
    words = len(program.split())
    ended, result = watched.out.splitlines()[-2:]
    assert ended == "run 1 completed"
    assert json.loads(result) == {"report": f"{words} words; 1 files can't be read"}
    assert cli("run", "show", "1", "--json").json["steps"][0]["output"] == [words]


@pytest.mark.parametrize("trouble", ["blocked", "overdue", "failing"])
def test_doctor_tells_of_runs_in_trouble(cli: Cli, db: Database, trouble: str) -> None:
    register(db, step("a"))
    run = start(db)
    if trouble == "blocked":
        db.execute(
            b"insert into postmill.held_tasks (run_id, step, queue_name, message, why)"
            b" values ($1, 'a', 'shop', '{}', 'version')",
            [run],
        )
    elif trouble == "overdue":
        db.execute(b"update postmill.runs set deadline = clock_timestamp() - interval '2 min'")
    else:
        for task in [*take(db), *(take_one(db) for _ in range(2) if start(db))]:
            fail(db, task)
    found = {each["check"]: each for each in cli("doctor", "--json").json}["flows"]
    assert found["status"] == "warn"
    words = {"blocked": "no worker for version 1 (step a)", "overdue": "deadlines", "failing": "a: it broke"}
    assert words[trouble] in found["found"]


def test_doctor_is_content(cli: Cli, db: Database) -> None:
    register(db, step("a"))
    settle(db, take_one(db) if start(db) else {}, 1)
    assert {each["check"]: each["status"] for each in cli("doctor", "--json").json}["flows"] == "pass"
