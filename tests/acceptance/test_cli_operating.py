"""Queues, messages, dead letters and workers from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import psycopg

    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]

LETTER = """
    insert into postmill.dead_letters
        (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)
    values ('tasks', $1, 6, clock_timestamp(), jsonb_build_object('n', $1::int), 6, 'error', 'ValueError: no')
    returning letter_id"""


@pytest.fixture(autouse=True)
def tasks(db: Database) -> None:
    db.execute("select postmill.create_queue('tasks')")


def letter(db: Database, msg_id: int) -> int:
    row = db.execute(LETTER, (msg_id,)).fetchone()
    assert row is not None
    return int(row["letter_id"])


def test_a_queue_is_created_once(cli: Cli) -> None:
    assert cli("queue", "create", "mail", "--json").json == {"queue": "mail", "created": True}
    assert cli("queue", "create", "mail", "--json").json == {"queue": "mail", "created": False}


def test_queues_are_listed_with_their_counts(cli: Cli) -> None:
    cli("send", "tasks", "1")
    cli("send", "tasks", "2", "--delay", "60")
    (row,) = cli("queue", "list", "--json").json
    assert (row["queue"], row["ready"], row["scheduled"], row["total"]) == ("tasks", 1, 1, 2)


def test_in_a_pipe_a_list_is_tab_separated_with_a_heading(cli: Cli) -> None:
    heading, row = cli("queue", "list").out.splitlines()
    assert heading.split("\t")[:2] == ["queue", "ready"]
    assert row.split("\t")[:2] == ["tasks", "0"]


def test_an_empty_list_is_empty_on_stdout(cli: Cli) -> None:
    answer = cli("dead", "list")
    assert (answer.code, answer.out) == (0, "")
    assert cli("dead", "list", "--json").json == []
    assert cli("dead", "list", "--jsonl").out == ""


def test_pause_and_resume(cli: Cli) -> None:
    cli("queue", "pause", "tasks", "--reason", "upgrade")
    shown = cli("queue", "show", "tasks", "--json").json
    assert (shown["pause_reason"], shown["paused_at"] is None) == ("upgrade", False)
    cli("queue", "resume", "tasks")
    assert cli("queue", "show", "tasks", "--json").json["paused_at"] is None


def test_purge_asks_and_counts(cli: Cli) -> None:
    cli("send", "tasks", "1")
    assert cli("queue", "purge", "tasks", "--dry-run", "--json").json == {
        "queue": "tasks",
        "purged": False,
        "messages": 1,
    }
    refused = cli("queue", "purge", "tasks")
    assert (refused.code, refused.error_code) == (4, "refused")
    assert "deletes 1 messages" in refused.err
    assert cli("queue", "purge", "tasks", "-y", "--json").json == {
        "queue": "tasks",
        "purged": True,
        "messages": 1,
    }
    assert cli("queue", "show", "tasks", "--json").json["total"] == 0


def test_drop_asks_and_keeps_unreplayed_letters_unless_forced(cli: Cli, db: Database) -> None:
    letter(db, 1)
    assert cli("queue", "drop", "tasks").code == 4
    assert cli("queue", "drop", "tasks", "--dry-run", "--json").json["dead_letters"] == 1
    kept = cli("queue", "drop", "tasks", "-y")
    assert (kept.code, kept.error_code) == (4, "refused")
    assert cli("queue", "drop", "tasks", "-y", "--force").code == 0
    assert cli("queue", "show", "tasks").code == 3


def test_messages_are_listed_by_state_and_page(cli: Cli) -> None:
    for number in range(3):
        cli("send", "tasks", str(number))
    cli("message", "cancel", "tasks", "2")
    ids = [row["msg_id"] for row in cli("message", "list", "tasks", "--state", "ready", "--json").json]
    assert ids == [3, 1]
    assert [
        row["msg_id"]
        for row in cli("message", "list", "tasks", "--before", "3", "--limit", "1", "--json").json
    ] == [2]


def test_a_message_is_shown_with_its_failures(cli: Cli, db: Database) -> None:
    cli("send", "tasks", '{"a": 1}')
    db.execute(
        "insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message)"
        " values ('tasks', 1, 1, 'error', 'ValueError', 'no')"
    )
    shown = cli("message", "show", "tasks", "1", "--json").json
    assert shown["message"] == {"a": 1}
    assert [failure["error_type"] for failure in shown["failures"]] == ["ValueError"]
    assert cli("message", "show", "tasks", "2").code == 3


def test_a_message_that_was_cancelled_with_its_source_says_so(cli: Cli) -> None:
    """Only a table knew why: the page of the message said ``cancelled`` and no more."""
    cli("send", "tasks", "1")
    cli("send", "tasks", "2", "--after", "tasks:1")
    cli("message", "cancel", "tasks", "1")
    shown = cli("message", "show", "tasks", "2", "--json").json
    assert (shown["state"], shown["reason"]) == ("cancelled", "it waited for tasks:1, which was cancelled")
    assert cli("message", "show", "tasks", "1", "--json").json["reason"] is None


def test_cancelling_says_what_became_of_each(cli: Cli) -> None:
    cli("send", "tasks", "1")
    answer = cli("message", "cancel", "tasks", "1", "99", "--json")
    assert answer.json == [{"msg_id": 1, "outcome": "cancelled"}, {"msg_id": 99, "outcome": "not found"}]
    assert (answer.code, answer.error_code) == (3, "not-found")


def test_dead_letters_are_replayed_by_id(cli: Cli, db: Database) -> None:
    first, second = letter(db, 11), letter(db, 12)
    assert cli("dead", "show", str(first), "--json").json["reason"] == "ValueError: no"
    answer = cli("dead", "replay", "tasks", str(first), "--json")
    assert answer.json == [{"letter_id": first, "msg_id": 1}]
    assert [row["letter_id"] for row in cli("dead", "list", "tasks", "--json").json] == [second]
    assert [row["letter_id"] for row in cli("dead", "list", "--replayed", "--json").json] == [second, first]


def test_replaying_all_asks(cli: Cli, db: Database) -> None:
    assert cli("dead", "replay", "tasks", "--all", "--json").json["done"] == 0
    letter(db, 11)
    letter(db, 12)
    assert cli("dead", "replay", "tasks", "--all").code == 4
    assert cli("dead", "replay", "tasks", "--all", "--dry-run", "--json").json["matching"] == 2
    ended = cli("dead", "replay", "tasks", "--all", "-y", "--json").json
    assert (ended["state"], ended["expected"], ended["done"]) == ("done", 2, 2)


def test_an_edited_payload_goes_with_one_letter(cli: Cli, db: Database) -> None:
    first, second = letter(db, 11), letter(db, 12)
    assert cli("dead", "replay", "tasks", str(first), str(second), "--message", "1").code == 2
    assert cli("dead", "replay", "tasks", str(first), "--message", "{oops}").error_code == "invalid-payload"
    cli("dead", "replay", "tasks", str(first), "--message", '{"fixed": true}')
    assert cli("message", "show", "tasks", "1", "--json").json["message"] == {"fixed": True}


def test_a_letter_that_is_not_there_stops_the_whole_replay(cli: Cli, db: Database) -> None:
    present = letter(db, 11)
    answer = cli("dead", "replay", "tasks", str(present), "999")
    assert (answer.code, answer.error_code) == (3, "not-found")
    assert len(cli("dead", "list", "--json").json) == 1
    assert cli("dead", "replay", "tasks").code == 2
    assert cli("dead", "show", "999").code == 3


def test_workers_are_listed_while_they_live(cli: Cli, db: Database) -> None:
    db.execute(
        "insert into postmill.workers"
        " (queue_name, function_name, hostname, pid, version, max_concurrent, last_heartbeat_at, stopped_at)"
        " values ('tasks', 'scrape', 'h', 1, '0.1.0', 10, now() + interval '1 hour', null),"
        " ('tasks', 'old', 'h', 2, '0.1.0', 10, now(), now())"
    )
    assert [row["worker"] for row in cli("worker", "list", "--json").json] == ["scrape"]
    states = {row["worker"]: row["state"] for row in cli("worker", "list", "--all", "--json").json}
    assert states == {"scrape": "active", "old": "stopped"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("queue", "show"),
        ("queue", "purge", "-y"),
        ("queue", "drop", "-y"),
        ("queue", "pause"),
        ("message", "list"),
        ("dead", "list"),
    ],
)
def test_a_queue_that_is_not_there_is_exit_3(cli: Cli, arguments: tuple[str, ...]) -> None:
    answer = cli(*arguments, "nowhere")
    assert (answer.code, answer.error_code, answer.out) == (3, "queue-not-found", "")
