"""Schedules from the command line, and in the processes that fire them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving import Serving

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]

GIVE_UP_S = 30.0


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


@pytest.mark.parametrize("fires", [True, False])
def test_serve_fires_schedules_unless_it_is_told_not_to(
    db: Database, database_url: str, tmp_path: Path, fires: bool
) -> None:
    """What is served is a function that has nothing to do with it."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "hello.py").write_text("async def handler(request): ...\n")
    db.execute("select postmill.schedule('often', '1 second', 'tasks')")
    environment = {"POSTMILL_DB_URL": database_url, "POSTMILL_SCHEDULES": "on" if fires else "off"}
    with Serving(tmp_path, "serve", "--port", "0", environment=environment):
        deadline = time.monotonic() + (GIVE_UP_S if fires else 3)
        while time.monotonic() < deadline and not sent(db):
            time.sleep(0.1)
    assert bool(sent(db)) == fires


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


def finding(cli: Cli) -> dict[str, str]:
    (row,) = [row for row in cli("doctor", "--json").json if row["check"] == "schedules"]
    return dict(row)


def test_a_sql_command_from_its_making_to_its_end(
    cli: Cli, db: Database, database_url: str, spawn: Any
) -> None:
    made = cli("schedule", "add-sql", "purge", "0 3 * * *", "select 7", "--overlap", "queue")
    assert (made.code, made.err) == (0, "purge: At 03:00 every day, as postgres.\n")
    assert cli("schedule", "run", "purge").err == "The command of purge will run.\n"
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


def test_the_start_of_the_service_has_no_next_tick(cli: Cli) -> None:
    cli("schedule", "add-sql", "warm", "@reboot", "select 1")
    answer = cli("schedule", "next", "warm")
    assert answer.err.splitlines() == [
        "When the first process that fires schedules starts (UTC)",
        "No clock knows when that is.",
    ]
