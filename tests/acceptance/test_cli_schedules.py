"""Schedules from the command line, and in the processes that fire them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.serving import Serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]

GIVE_UP_S = 60.0
WORKER = """
from typing import Any
from postmill import worker


@worker(queue="jobs")
async def work(_: dict[str, Any]) -> None: ...
"""
DOUBLE = """
async def handler(request):
    return {"size": (await request.json())["size"] * 2, "by": request.headers["x-by"]}
"""


@pytest.fixture(autouse=True)
def tasks(db: Database) -> None:
    db.execute("select postmill.create_queue('tasks')")


def test_a_schedule_from_its_making_to_its_end(cli: Cli) -> None:
    made = cli("schedule", "add", "nightly", "30 2 * * *", "tasks", '{"a": 1}', "--timezone", "Europe/Berlin")
    assert (made.code, made.err) == (0, "nightly: At 02:30 every day, to tasks.\n")
    (listed,) = cli("schedule", "list", "--json").json
    assert (listed["schedule"], listed["state"], listed["queue"]) == ("nightly", "active", "tasks")
    assert cli("schedule", "run", "nightly", "--json").json == {"schedule": "nightly", "msg_id": 1}
    (run,) = cli("schedule", "runs", "nightly", "--json").json
    assert (run["status"], run["msg_id"]) == ("sent", 1)
    assert cli("schedule", "pause", "nightly", "--json").json == {"schedule": "nightly", "paused": True}
    assert cli("schedule", "show", "nightly", "--json").json["state"] == "paused"
    assert cli("schedule", "resume", "nightly", "--json").json == {"schedule": "nightly", "paused": False}
    assert cli("schedule", "remove", "nightly").error_code == "refused"
    assert cli("schedule", "remove", "nightly", "--yes").code == 0
    assert cli("schedule", "list", "--json").json == []


def test_what_a_message_can_ask_for_can_be_asked_for(cli: Cli, db: Database) -> None:
    cli(
        "schedule",
        "add",
        "a",
        "@daily",
        "tasks",
        "1",
        "--priority",
        "7",
        "--group",
        "acme",
        "--jitter",
        "5min",
    )
    cli("schedule", "run", "a")
    row = db.execute("select headers from pgmq.q_tasks").fetchone()
    assert row is not None
    assert (row["headers"]["postmill-priority"], row["headers"]["postmill-group"]) == (7, "acme")


def test_every_option_of_a_message_reaches_it(cli: Cli, db: Database) -> None:
    add = ("schedule", "add", "a", "@daily", "tasks", "--delay", "1h", "--unique-key", "k")
    more = ("--unique-for", "1d", "--header", "tenant=7", "--then-send", '{"queue": "tasks", "message": 1}')
    assert cli(*add, *more).code == 0
    target = cli("schedule", "show", "a", "--json").json["target"]
    assert target == {
        "queue": "tasks",
        "message": {},
        "headers": {"tenant": 7},
        "delay_s": 3600,
        "unique_key": "k",
        "unique_for_s": 86400,
        "then_send": {"queue": "tasks", "message": 1},
    }


def test_the_next_tick_is_shown_before_a_scheduler_has_read_it(cli: Cli, db: Database) -> None:
    """It is the one that the scheduler will find. A paused schedule has none."""
    cli("schedule", "add", "a", "0 0 1 1 *", "tasks")
    db.execute("select postmill.schedule('odd', '61 * * * *', 'tasks')")
    a, odd = cli("schedule", "list", "--json").json
    assert a["next_at"][5:16] == "01-01T00:00"
    assert (odd["state"], odd["next_at"]) == ("broken", None)
    assert "can't be read" in odd["problem"]
    cli("schedule", "pause", "a")
    assert cli("schedule", "show", "a", "--json").json["next_at"] is None


def test_the_next_ticks_are_shown_in_its_zone_and_here(cli: Cli) -> None:
    cli("schedule", "add", "sunday", "30 2 * * sun", "tasks", "--timezone", "America/New_York")
    answer = cli("schedule", "next", "sunday", "-n", "3")
    assert answer.err == "At 02:30 on Sunday (America/New_York)\n"
    assert [line.split("\t")[0].split()[0] for line in answer.out.splitlines()[1:]] == ["Sun"] * 3


def test_an_expression_is_tried_without_a_database(cli_without_database: Cli) -> None:
    ticks = cli_without_database("schedule", "next", "@hourly", "-n", "2", "--json").json
    assert [tick["tick"][14:16] for tick in ticks] == ["00", "00"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("add", "a", "* * * * * *", "tasks"), "invalid-option"),
        (("add", "a", "@daily", "tasks", "--timezone", "Berlin"), "invalid-option"),
        (("add", "a", "@daily", "nowhere"), "queue-not-found"),
        (("add", "a", "@daily", "tasks", "{"), "invalid-payload"),
        (("show", "nope"), "not-found"),
        (("run", "nope"), "not-found"),
        (("next", "nope"), "not-found"),
        (("remove", "nope", "--yes"), "not-found"),
    ],
)
def test_mistakes_are_told_in_words(cli: Cli, arguments: tuple[str, ...], code: str) -> None:
    answer = cli("schedule", *arguments)
    assert (answer.code != 0, answer.error_code) == (True, code)


@pytest.mark.parametrize(
    ("command", "variable", "fires"),
    [("serve", "off", True), ("serve", "on", False), ("dev", "off", True), ("dev", "on", False)],
)
def test_serve_and_dev_fire_schedules_as_the_option_says(
    db: Database, database_url: str, tmp_path: Path, command: str, variable: str, fires: bool
) -> None:
    """It overrules the variable. What is served is a function that has nothing to do with it."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "hello.py").write_text("async def handler(request): ...\n")
    (tmp_path / "postmill.toml").write_text("[runtime]\nport = 0\n")
    db.execute("select postmill.schedule('often', '1 second', 'tasks')")
    environment = {"POSTMILL_DB_URL": database_url, "POSTMILL_SCHEDULES": variable}
    option = ("--schedules", "on" if fires else "off")
    with Serving(tmp_path, command, *option, environment=environment):
        deadline = time.monotonic() + (GIVE_UP_S if fires else 3)
        while time.monotonic() < deadline and not sent(db):
            time.sleep(0.1)
    assert bool(sent(db)) == fires


@pytest.mark.parametrize("option", ["off", "on"])
def test_a_worker_fires_schedules_as_the_option_says(
    db: Database, database_url: str, tmp_path: Path, option: str
) -> None:
    """It overrules the variable. Messages, SQL and calls are due each second; a message that becomes ready
    three seconds after the worker's start tells that it has been at work for as long.
    """
    (tmp_path / "jobs.py").write_text(WORKER)
    db.execute("select postmill.create_queue('jobs')")
    db.execute("select postmill.schedule('often', '1 second', 'tasks', overlap => 'allow')")
    db.execute("select postmill.schedule_sql('sql', '1 second', 'select 1')")
    db.execute("select postmill.schedule_call('call', '1 second', 'https://x', overlap => 'allow')")
    db.execute("select postmill.schedule_sql('start', '@reboot', 'select 1')")
    db.execute("select postmill.run_schedule('sql')")
    variable = "on" if option == "off" else "off"
    environment = {"POSTMILL_DB_URL": database_url, "POSTMILL_SCHEDULES": variable}
    worker = ("worker", "run", "jobs:work", "--schedules", option)
    with Serving(tmp_path, *worker, environment=environment, listening=False) as running:
        running.said("worker.started")
        db.execute("select postmill.send('jobs', '{}', delay => '3 s')")
        running.said("message.completed")
        assert running.stop() == 0
    runs = db.execute(
        "select s.name, count(run.tick) as fired, count(run.started_at) as began"
        " from postmill.schedules as s left join postmill.schedule_runs as run using (schedule_id)"
        " group by s.name order by s.name"
    ).fetchall()
    fired = {row["name"]: (row["fired"], row["began"]) for row in runs}
    if option == "off":
        assert fired == {"call": (0, 0), "often": (0, 0), "sql": (1, 0), "start": (0, 0)}
        assert (sent(db), "schedule." in running.log) == (0, False)
    else:
        assert min(fired["call"][0], fired["often"][0], fired["sql"][0]) >= 2
        assert (fired["sql"][1] > 0, fired["start"]) == (True, (1, 1))


def sent(db: Database) -> int:
    row = db.execute("select count(*) as sent from pgmq.q_tasks").fetchone()
    assert row is not None
    return int(row["sent"])


def test_doctor_tells_of_schedules_that_nothing_fires(cli: Cli, db: Database) -> None:
    cli("schedule", "add", "a", "@daily", "tasks")
    assert finding(cli)["status"] == "pass"
    db.execute("update postmill.schedules set next_at = now() - interval '2 minutes'")
    assert finding(cli)["found"] == "nothing fires a"
    cli("schedule", "pause", "a")
    assert finding(cli)["status"] == "pass"


def test_doctor_tells_of_a_schedule_that_can_not_be_read(cli: Cli, db: Database) -> None:
    db.execute("select postmill.schedule('odd', '61 * * * *', 'tasks')")
    db.execute("update postmill.schedules set problem = 'schedule=61 can not be read.'")
    assert finding(cli)["found"] == "odd: schedule=61 can not be read."


def test_doctor_tells_of_schedules_whose_last_run_failed(cli: Cli, db: Database) -> None:
    cli("schedule", "add", "a", "@yearly", "tasks")
    cli("schedule", "run", "a")
    assert finding(cli)["status"] == "pass"
    db.execute("update postmill.schedule_runs set status = 'failed'")
    assert (finding(cli)["found"], finding(cli)["fix"]) == (
        "the last run failed of a: message 1 of queue tasks is dead",
        "postmill schedule runs a",
    )


FAILED = """
insert into postmill.schedule_runs (schedule_id, tick, status, reason, ended_at)
select schedule_id, now() - $1 * interval '1 hour', $2, $3, now() from postmill.schedules where name = $4
"""


def test_doctor_and_top_tell_of_commands_and_calls_that_fail_and_why(cli: Cli, db: Database) -> None:
    """A run that has begun, or was skipped since, hid that every one before it had failed."""
    cli("schedule", "add-sql", "purge", "@yearly", "select 1 / 0")
    cli("schedule", "add-call", "hook", "@yearly", "--url", "https://x")
    cli("schedule", "add", "well", "@yearly", "tasks")
    add = FAILED.encode()
    run = psycopg.RawCursor(db).execute
    run(add, [3, "succeeded", None, "purge"])
    run(add, [2, "failed", "division by zero\nCONTEXT: a line more", "purge"])
    run(add, [1, "skipped", "the run before is not done", "purge"])
    run(add, [1, "failed", "HTTP 500", "hook"])
    run(add, [1, "failed", "it broke", "well"])
    run(add, [0, "succeeded", None, "well"])
    cli("schedule", "run", "hook")
    assert finding(cli)["found"] == "the last run failed of hook: HTTP 500; so did that of purge"
    shown = cli("top", "--once", "--json", "--interval", "0.1s").json["schedules"]
    assert [(row["schedule"], row["last_status"], row["last_error"]) for row in shown] == [
        ("hook", "sent", "HTTP 500"),
        ("purge", "skipped", "division by zero"),
        ("well", "succeeded", None),
    ]
    text = cli("top", "--once", "--interval", "0.1s").out
    assert "division by zero" in text
    assert "a line more" not in text
    cli("schedule", "pause", "hook")
    assert finding(cli)["found"] == "the last run failed of purge: division by zero"
    run(add, [0, "succeeded", None, "purge"])
    assert finding(cli)["status"] == "pass"


def test_doctor_tells_of_a_schedule_whose_worker_was_renamed(cli: Cli, db: Database) -> None:
    """Its code is gone, and no start can remove what it declared."""
    db.execute("select postmill.declare_schedule('tasks', 'old_name', '@yearly', 'UTC')")
    assert finding(cli)["status"] == "pass"
    db.execute(
        "insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent,"
        " last_heartbeat_at) values ('tasks', 'new_name', 'h', 1, '1', 1, now() + interval '1 hour')"
    )
    assert finding(cli)["found"] == "no worker old_name runs, whose code declares tasks.old_name"
    db.execute("update postmill.workers set function_name = 'old_name'")
    assert finding(cli)["status"] == "pass"


def test_top_shows_what_comes_next_and_what_is_wrong(cli: Cli, db: Database) -> None:
    assert cli("top", "--once", "--json", "--interval", "0.1").json["schedules"] == []
    cli("schedule", "add", "a", "@yearly", "tasks")
    db.execute("select postmill.schedule('odd', '61 * * * *', 'tasks')")
    db.execute("update postmill.schedules set problem = 'can not be read' where name = 'odd'")
    shown = cli("top", "--once", "--json", "--interval", "0.1s").json["schedules"]
    assert [(row["schedule"], row["state"]) for row in shown] == [("odd", "broken"), ("a", "active")]


def finding(cli: Cli) -> dict[str, str]:
    (row,) = [row for row in cli("doctor", "--json").json if row["check"] == "schedules"]
    return dict(row)


def test_a_sql_command_from_its_making_to_its_end(
    cli: Cli, db: Database, database_url: str, spawn: Any
) -> None:
    made = cli("schedule", "add-sql", "purge", "0 3 * * *", "select 7", "--overlap", "queue")
    assert (made.code, made.err) == (0, "purge: At 03:00 every day, as postgres.\n")
    assert cli("schedule", "run", "purge").err == "purge has fired.\n"
    process = spawn("schedule", "work", env={"POSTMILL_DB_URL": database_url})
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        (run,) = cli("schedule", "runs", "purge", "--json").json
        if run["ended_at"]:
            break
        time.sleep(0.1)
    assert (run["status"], run["reason"]) == ("succeeded", "SELECT 1")
    process.terminate()
    assert process.wait(GIVE_UP_S) == 0
    shown = cli("schedule", "show", "purge", "--json").json
    assert (shown["target"], shown["run_as"]) == ({"command": "select 7"}, "postgres")


def test_a_call_of_a_function_from_its_making_to_its_end(
    cli: Cli, db: Database, database_url: str, tmp_path: Path
) -> None:
    """It is served, called and fired by one process."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "double.py").write_text(DOUBLE)
    add = ("schedule", "add-call", "sizes", "0 3 * * *", "--function", "double", "--body", '{"size": 21}')
    made = cli(*add, "--timeout", "30s", "-H", "X-By: me")
    assert (made.code, made.err) == (0, "sizes: At 03:00 every day, function:double, as postgres.\n")
    assert cli("schedule", "run", "sizes", "--json").json == {"schedule": "sizes", "msg_id": None}
    with Serving(tmp_path, "serve", "--port", "0", environment={"POSTMILL_DB_URL": database_url}):
        deadline = time.monotonic() + GIVE_UP_S
        while (run := cli("schedule", "runs", "sizes", "--json").json[0])["status"] == "sent":
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert (run["status"], run["reason"]) == ("succeeded", "HTTP 200")
    answer = cli("calls", "show", str(run["call_id"]), "--json").json
    assert (answer["function"], answer["content"]) == ("double", '{"size":42,"by":"me"}')
    shown = cli("schedule", "show", "sizes", "--json").json
    assert shown["target"] == {
        "function": "double",
        "method": "POST",
        "timeout_ms": 30_000,
        "max_attempts": 1,
    }
    assert cli("schedule", "list", "--json").json[0]["fires"] == "function:double"
    assert "function:double" in cli("schedule", "list").out
    (tick,) = cli("schedule", "next", "sizes", "-n", "1", "--json").json
    assert tick["tick"][11:16] == "03:00"
    assert cli("schedule", "pause", "sizes", "--json").json == {"schedule": "sizes", "paused": True}
    assert cli("schedule", "run", "sizes", "--json").code == 0
    assert [run["status"] for run in cli("schedule", "runs", "sizes", "--json").json] == ["sent", "succeeded"]
    assert cli("schedule", "resume", "sizes").code == 0


def test_mistakes_in_a_call_are_told_in_words(cli: Cli) -> None:
    add = ("schedule", "add-call", "a", "@daily")
    assert cli(*add).code == 2
    assert cli(*add, "--url", "https://x", "-H", "no header").code == 2
    assert cli(*add, "--url", "https://x", "--body", "{").error_code == "invalid-payload"
    assert cli(*add, "--url", "nowhere").error_code == "invalid-option"
    keyed = cli(*add, "--url", "https://x", "-H", "X-Key: {{secret:KEY}}")
    assert "postmill secrets grant KEY --to postgres" in keyed.err


def test_the_start_of_the_service_has_no_next_tick(cli: Cli) -> None:
    cli("schedule", "add-sql", "warm", "@reboot", "select 1")
    answer = cli("schedule", "next", "warm")
    assert answer.err.splitlines() == [
        "When the first process that fires schedules starts (UTC)",
        "No clock knows when that is.",
    ]
