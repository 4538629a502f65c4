"""Messages that ask for more than their delivery, and limits and priorities, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]


@pytest.fixture(autouse=True)
def tasks(db: Database) -> None:
    db.execute("select postmill.create_queue('tasks')")


def headers(db: Database) -> list[Any]:
    return [row["headers"] for row in db.execute("select headers from pgmq.q_tasks order by msg_id")]


def test_a_unique_key_is_sent_once_and_says_so(cli: Cli, db: Database) -> None:
    first = cli("send", "tasks", "1", "--unique-key", "k", "--json")
    again = cli("send", "tasks", "2", "--unique-key", "k", "--json")
    assert (first.json, again.json) == (
        [{"msg_id": 1, "existed": False}],
        [{"msg_id": 1, "existed": True}],
    )
    assert "Sent 0 messages to tasks. 1 had a unique key that was taken." in again.err
    refusal = cli("send", "tasks", "2", "--unique-key", "k", "--on-conflict", "raise")
    assert (refusal.code, "'k' is taken" in refusal.err) == (4, True)
    assert headers(db) == [{"postmill-unique-key": "k"}]


def test_every_option_of_a_message(cli: Cli, db: Database) -> None:
    then = (
        '{"queue": "tasks", "message": {"n": 10000000000000000000000000000001}, "delay_s": 5, "priority": 1}'
    )
    options = ["--unique-key", "k", "--unique-for", "1h", "--priority", "9", "--then-send", then]
    answer = cli("send", "tasks", "1", *options, "-H", "a=1")
    assert answer.code == 0, answer.err
    (stored,) = headers(db)
    assert stored["postmill-then"] == {
        "queue": "tasks",
        "message": {"n": 10000000000000000000000000000001},
        "delay_s": 5.0,
        "priority": 1,
    }
    assert (stored["a"], stored["postmill-priority"], stored["postmill-unique-key"]) == (1, 9, "k")


def test_a_file_with_options(cli: Cli, db: Database, tmp_path: Path) -> None:
    (tmp_path / "work.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    assert cli("send", "tasks", "-f", "work.jsonl", "--priority", "3").code == 0
    assert headers(db) == [{"postmill-priority": 3}] * 2


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--unique-for", "1h"], 2, "there is none"),
        (["--unique-key", ""], 2, "0 characters"),
        (["--after", "resize"], 2, "names no message"),
        (["--then-send", "{}"], 2, 'write {"queue": "emails"'),
        (["--then-send", '{"queue": "a", "message": 1, "prioriti": 3}'], 2, "Did you mean priority?"),
        (["--priority", "10"], 2, "0<=x<=9"),
        (["--on-conflict", "ignore"], 2, "'skip', 'replace', 'raise'"),
    ],
)
def test_a_mistake_is_told(cli: Cli, db: Database, options: list[str], code: int, says: str) -> None:
    answer = cli("send", "tasks", "1", *options)
    assert (answer.code, says in answer.err) == (code, True), answer.err
    assert headers(db) == []


def test_limits_are_shown_set_and_removed(cli: Cli) -> None:
    assert cli("queue", "limit", "tasks", "--json").json == []
    (row,) = cli(
        "queue", "limit", "tasks", "--max-running", "3", "--starts", "10", "--per", "1m", "--json"
    ).json
    assert (row["group_key"], row["max_running"], row["starts"], row["per_s"]) == ("", 3, 10, 60.0)
    cli("queue", "limit", "tasks", "--group", "*", "--max-running", "2")
    cli("queue", "limit", "tasks", "--group", "acme", "--max-running", "1")
    lines = cli("queue", "limit", "tasks").out.splitlines()
    assert [line.split("\t")[:2] for line in lines[1:]] == [
        ["queue", "3"],
        ["each group", "2"],
        ["group acme", "1"],
    ]
    cli("queue", "limit", "tasks", "--group", "acme", "--remove")
    rows = cli("queue", "limit", "tasks", "--remove", "--json").json
    assert [row["group_key"] for row in rows] == [None]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--starts", "1"], 2, "go together"),
        (["--remove", "--max-running", "1"], 2, "not both"),
        (["--starts", "1", "--per", "101d"], 2, "100 days"),
    ],
)
def test_limits_that_can_not_be_are_refused(cli: Cli, options: list[str], code: int, says: str) -> None:
    answer = cli("queue", "limit", "tasks", *options)
    assert (answer.code, says in answer.err) == (code, True), answer.err


def test_a_queue_that_is_not_there_has_no_limits(cli: Cli) -> None:
    for command in ("limit", "priority"):
        answer = cli("queue", command, "nope")
        assert (answer.code, "no queue" in answer.err) == (3, True), answer.err


def test_priorities_are_switched_on_and_off(cli: Cli, db: Database) -> None:
    on = "select has_priorities from postmill.queues"
    assert cli("queue", "priority", "tasks", "--aging", "30s", "--json").json["priority"] is True
    assert db.execute(on).fetchall() == [{"has_priorities": True}]
    assert cli("queue", "priority", "tasks", "--off", "--json").json["priority"] is False
    assert db.execute(on).fetchall() == [{"has_priorities": False}]


@pytest.mark.parametrize("field", ["delay", "group", "unique_for"])
def test_a_field_that_a_later_message_has_not_is_named(cli: Cli, field: str) -> None:
    """``delay`` in place of ``delay_s`` ended in "it is a bug"."""
    answer = cli("send", "tasks", "1", "--then-send", f'{{"queue": "tasks", "message": 1, "{field}": 3}}')
    assert (answer.code, f"There is no option '{field}'" in answer.err) == (2, True), answer.err


def test_what_is_no_number_is_told_in_plain_words(cli: Cli) -> None:
    """click's own words are "is not a valid integer range"."""
    answer = cli("queue", "limit", "tasks", "--max-running", "two")
    assert (answer.code, "'two' is not a valid whole number." in answer.err) == (2, True), answer.err


def test_why_a_message_does_not_run(cli: Cli, db: Database) -> None:
    db.execute("select postmill.send('tasks', '1', delay => '1 day')")
    db.execute("select postmill.pause('tasks', 'deploy')")
    found = cli("message", "why", "tasks", "1", "--json").json
    assert [each["cause"] for each in found] == ["delayed", "paused", "no_worker"]
    assert found[1]["detail"]["reason"] == "deploy"
    assert [each["cause"] for each in cli("message", "show", "tasks", "1", "--json").json["why"]] == [
        each["cause"] for each in found
    ]
    said = cli("message", "show", "tasks", "1").out
    assert "; ".join(each["said"] for each in found) in said
    assert "unsent" in cli("message", "why", "tasks", "2").out
    refusal = cli("message", "why", "nope", "1")
    assert (refusal.code, "nope" in refusal.err) == (3, True)


def test_messages_are_searched_for(cli: Cli, db: Database) -> None:
    for number in range(1, 4):
        db.execute("select postmill.send('tasks', $1)", [f'{{"user": {{"id": {number}}}}}'])
    found = cli("message", "search", "queue:tasks", "payload.user.id=2", "--json").json
    assert [row["msg_id"] for row in found["rows"]] == [2]
    assert (found["low"], found["high"], found["next_below"], found["is_cut"]) == (1, 3, None, False)
    page = cli("message", "search", "queue:tasks", "state:ready", "--limit", "1")
    assert page.out.startswith("msg_id\tstate")
    assert "Looked at ids 3 to 3" in page.err
    assert "The next page: --before 3" in page.err
    assert "Looked at no id. That is all." in cli("message", "search", "queue:tasks", "id:4000..5000").err
    refusal = cli("message", "search", "queue:tasks stat:dead")
    assert (refusal.code, "character 13" in refusal.err, "Did you mean state?" in refusal.err) == (
        2,
        True,
        True,
    )
