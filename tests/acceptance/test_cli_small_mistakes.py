"""Small mistakes at the command line: a name that is nearly right, nothing where a name should be, a change
that would delete something. Each is told before anything is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sql.asking import bury, value

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli
    from tests.sql.asking import Database


@pytest.fixture(autouse=True)
def mail(db: Database) -> None:
    db.execute(b"select postmill.create_queue('mail'); select postmill.create_queue('images')")


@pytest.mark.parametrize(
    "arguments",
    [
        ("queue", "show", "mial"),
        ("queue", "pause", "mial"),
        ("queue", "retention", "mial", "1d"),
        ("message", "list", "mial"),
        ("message", "search", "queue:mial"),
        ("message", "cancel", "mial", "1"),
        ("message", "move", "mail", "1", "--to", "mial", "--yes"),
        ("dead", "replay", "mial", "--all"),
        ("index", "create", "mial", "payload.a"),
        ("send", "mial", "{}"),
        ("schedule", "add", "daily", "@daily", "mial"),
    ],
)
def test_the_queue_that_was_meant_is_named(cli: Cli, arguments: tuple[str, ...]) -> None:
    answer = cli(*arguments)
    assert (answer.code, answer.error_code) == (3, "queue-not-found")
    assert "Did you mean mail? Or create it with `postmill queue create mial`" in answer.err


def test_a_queue_that_is_like_no_other_has_no_question(cli: Cli) -> None:
    assert "try: Create it with `postmill queue create zzz`" in cli("queue", "show", "zzz").err


def test_a_name_that_create_refuses_is_not_offered(cli: Cli) -> None:
    """The second half of the hint led to the next error."""
    assert "try: Did you mean mail?\n" in cli("queue", "pause", "MAIL2").err
    assert "queue create" not in cli("queue", "pause", "ZZZ").err


@pytest.mark.parametrize("command", ["show", "pause", "runs", "run"])
def test_the_schedule_that_was_meant_is_named(cli: Cli, command: str) -> None:
    cli("schedule", "add", "nightly", "@daily", "mail")
    answer = cli("schedule", command, "nigthly")
    assert (answer.code, "Did you mean nightly?" in answer.err) == (3, True)


def test_the_function_that_was_meant_is_named(cli: Cli) -> None:
    cli("functions", "new", "hello")
    answer = cli("functions", "delete", "helo", "--yes")
    assert (answer.code, "Did you mean hello?" in answer.err) == (3, True)


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "retry"])
def test_a_flow_that_is_not_there_has_no_runs_to_steer(cli: Cli, action: str) -> None:
    assert cli("run", action, "--flow", "nope").error_code == "not-found"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("queue", "limit", "mail", "--group", "", "--max-running", "1"), 2),
        (("worker", "drain", ""), 2),
    ],
)
def test_nothing_is_no_name(cli: Cli, arguments: tuple[str, ...], code: int) -> None:
    assert cli(*arguments).code == code


def test_an_operation_on_nothing_says_so(cli: Cli) -> None:
    answer = cli("message", "cancel", "mail", "--matching", "payload.a=1")
    assert (answer.code, "No message of queue mail matches: nothing was done." in answer.err) == (0, True)
    answer = cli("dead", "replay", "mail", "--matching", "payload.a=1")
    assert "No dead letter of queue mail matches: nothing was done." in answer.err


def test_a_grant_of_a_secret_that_is_not_kept_says_so(cli: Cli) -> None:
    answer = cli("secrets", "grant", "NOPE", "--to", "postgres")
    assert (answer.code, "This project keeps no secret NOPE" in answer.err) == (0, True)
    cli("secrets", "set", "NOPE=1")
    assert "keeps no secret" not in cli("secrets", "grant", "NOPE", "--to", "postgres").err


@pytest.mark.parametrize(
    "command", ["selct 1", "select 1; create tabel x ()", "select 'a", "select (1", "vacuum analize 1"]
)
def test_sql_that_can_not_be_read_is_not_scheduled(cli: Cli, db: Database, command: str) -> None:
    answer = cli("schedule", "add-sql", "tidy", "@daily", command)
    assert (answer.code, answer.error_code) == (2, "invalid-option")
    assert "syntax error" in answer.err
    assert value(db, "select count(*) from postmill.schedules") == 0


def test_sql_that_can_be_read_is_scheduled_and_not_run(cli: Cli, db: Database) -> None:
    for number, command in enumerate(
        (
            "create table made ()",
            "vacuum analyze",
            "select * from later; commit; call later()",
            "/* nothing */ ;",
        )
    ):
        assert cli("schedule", "add-sql", f"tidy-{number}", "@daily", command).code == 0, command
    assert value(db, "select to_regclass('made')") is None


def test_a_shorter_retention_asks_when_something_would_be_deleted(cli: Cli, db: Database) -> None:
    assert cli("queue", "retention", "mail", "0d").code == 0
    cli("queue", "retention", "mail", "7d")
    cli("send", "mail", "1")
    db.execute(b"select pgmq.archive('mail', 1)")
    asked = cli("queue", "retention", "mail", "0d")
    assert (asked.code, "This deletes archived messages of queue mail soon." in asked.err) == (4, True)
    assert cli("queue", "retention", "mail", "--json").json["archive_s"] == 604_800
    assert cli("queue", "retention", "mail", "1h").code == 0
    bury(db, "mail", 7, "{}")
    assert cli("queue", "retention", "mail", "forever", "--max-rows", "0").code == 4
    assert cli("queue", "retention", "mail", "0d", "--yes").code == 0
