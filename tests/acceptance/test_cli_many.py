"""Commands that do one thing to many messages: they count, ask, carry it out, and say what became of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.sql.asking import bury, column, fail, value

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli
    from tests.sql.asking import Database

LEFT = "select msg_id from pgmq.q_tasks order by 1"


@pytest.fixture(autouse=True)
def messages(db: Database) -> None:
    db.execute(b"select postmill.create_queue('tasks')")
    db.execute(
        b"select postmill.send_batch('tasks', array(select jsonb_build_object('n', n % 2) "
        b"from generate_series(1, 6) n), interval '1 hour')"
    )


def test_a_command_that_waits_needs_no_process_that_runs(cli: Cli, db: Database) -> None:
    matching = "message", "cancel", "tasks", "--matching", '{"payload": {"n": 1}}'
    dry = cli(*matching, "--dry-run", "--json").json
    assert dry == {"kind": "cancel", "queue": "tasks", "matching": 3, "upper_id": 6, "complete": True}
    asked = cli(*matching)
    assert (asked.code, "cancels 3 messages of queue tasks" in asked.err) == (4, True)
    ended = cli(*matching, "-y", "--json").json
    assert (ended["state"], ended["done"], ended["expected"]) == ("done", 3, 3)
    assert column(db, LEFT) == [2, 4, 6]
    number = str(ended["operation_id"])
    rows = cli("operation", "show", number, "--rows", "--jsonl").out.splitlines()
    assert [json.loads(row)["id"] for row in rows] == [1, 3, 5]
    assert cli("operation", "show", number, "--rows", "--outcome", "failed", "--json").json == []
    assert cli("operation", "show", number, "--json").json["filter"] == {"payload": {"n": 1}}


def test_ids_are_only_counted_in_a_dry_run(cli: Cli, db: Database) -> None:
    assert cli("message", "cancel", "tasks", "2", "99", "--dry-run", "--json").json["matching"] == 1
    assert len(column(db, LEFT)) == 6


def test_a_search_says_what_it_is_about(cli: Cli, db: Database) -> None:
    """What was found is what it is done to."""
    wanted = "payload.n=1 id:2..5 since:1h"
    found = cli("message", "search", "queue:tasks", *wanted.split(), "--json").json
    assert [row["msg_id"] for row in found["rows"]] == [5, 3]
    ended = cli("message", "cancel", "tasks", "--matching", wanted, "-y", "--json").json
    assert (ended["done"], ended["filter"]["fields"]) == (2, {"payload.n": "1"})
    assert column(db, LEFT) == [1, 2, 4, 6]
    bury(db, "tasks", 77, '{"n": 1}')
    bury(db, "tasks", 78, '{"n": 0}')
    ended = cli("dead", "replay", "tasks", "--matching", "payload.n=0 state:dead", "-y", "--json").json
    assert (ended["kind"], ended["done"]) == ("replay", 1)
    assert column(db, "select msg_id from postmill.dead where replayed_at is null") == [77]
    for text, says in (("worker:0", "be about worker:0"), ("stat:ready", "Did you mean state?")):
        refused = cli("message", "cancel", "tasks", "--matching", text, "-y")
        assert (refused.error_code, says in refused.err) == ("invalid-search", True)


def test_messages_are_moved(cli: Cli, db: Database) -> None:
    """Those that are named, and those that match, with the question that says so."""
    db.execute(b"select postmill.create_queue('other')")
    asked = cli("message", "move", "tasks", "1", "99", "--to", "other")
    assert (asked.code, "moves 1 message of queue tasks" in asked.err) == (4, True)
    moved = cli("message", "move", "tasks", "1", "99", "--to", "other", "-y", "--json").json
    assert (moved["done"], moved["target"]) == (1, "other")
    assert cli("message", "move", "tasks", "--matching", "payload.n=0", "--to", "other", "-y").code == 0
    assert column(db, LEFT) == [3, 5]
    assert value(db, "select count(*) from pgmq.q_other") == 4
    gone = cli("message", "move", "tasks", "--all", "--to", "gone", "-y")
    assert gone.error_code == "queue-not-found"


def test_one_that_does_not_wait_is_listed_and_can_be_aborted(cli: Cli, db: Database) -> None:
    started = cli("message", "retry", "tasks", "--all", "-y", "--no-wait", "--rate", "2", "--json")
    number = str(started.json["operation_id"])
    assert started.json["state"] == "queued"
    assert [row["operation_id"] for row in cli("operation", "list", "--running", "--json").json] == [
        int(number)
    ]
    db.execute(b"select postmill._step_operation()")
    assert cli("operation", "abort", number, "--json").json["state"] == "aborted"
    assert cli("operation", "list", "--running", "--json").json == []
    assert value(db, "select count(*) from pgmq.q_tasks where vt <= clock_timestamp()") == 1


def test_one_that_fails_is_said_to(cli: Cli, db: Database) -> None:
    db.execute(b"alter function postmill._take_page rename to _gone")
    failed = cli("message", "cancel", "tasks", "--all", "-y", "--json")
    assert (failed.code, failed.error_code) == (4, "refused")
    assert "_take_page" in failed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("message", "cancel", "tasks"),
        ("message", "cancel", "tasks", "1", "--all"),
        ("message", "retry", "tasks", "--all", "--matching", "{}"),
        ("message", "cancel", "tasks", "--matching", "[]"),
        ("message", "cancel", "tasks", "--matching", "{"),
        ("message", "cancel", "tasks", "--matching", " "),
        ("message", "move", "tasks", "--all"),
        ("message", "move", "tasks", "--to", "other"),
        ("message", "cancel", "tasks", "1", "--rate", "5"),
        ("dead", "replay", "tasks", "--all", "--message", "1"),
        ("operation", "show", "1", "--outcome", "busy"),
    ],
)
def test_what_it_is_about_is_said_once(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli(*arguments).error_code == "usage"


def test_a_filter_that_is_none_and_an_operation_that_is_not_there(cli: Cli) -> None:
    unknown = cli("message", "cancel", "tasks", "--matching", '{"payloads": 1}', "-y")
    assert (unknown.error_code, "payloads is no key of it" in unknown.err) == ("invalid-option", True)
    for command in ("show", "abort"):
        assert cli("operation", command, "99").error_code == "not-found"


def test_an_error_is_found_decided_about_and_tried_again(cli: Cli, db: Database) -> None:
    for msg_id in (2, 4):
        fail(db, "tasks", msg_id, f"no page {msg_id}")
    bury(db, "tasks", 77)
    fail(db, "tasks", 77, "no page 77")
    fail(db, "tasks", 3, "no route")
    listed = cli("error", "list", "tasks", "--json").json
    assert [(each["error_message"], each["messages"]) for each in listed] == [
        ("no route", 1),
        ("no page 77", 3),
    ]
    error = listed[1]["fingerprint"]
    shown = cli("error", "show", error, "--json").json
    assert [each["msg_id"] for each in shown["failures"]] == [2, 4, 77]
    ended = [json.loads(line) for line in cli("error", "retry", error, "-y", "--jsonl").out.splitlines()]
    assert [(each["kind"], each["done"]) for each in ended] == [("retry", 2), ("replay", 1)]
    for command, state in (("ignore", "ignored"), ("reopen", "open"), ("resolve", "resolved")):
        assert cli("error", command, error, "--json").json == {"fingerprint": error, "state": state}
    assert [each["error_message"] for each in cli("error", "list", "--open", "--json").json] == ["no route"]
    for command in ("show", "resolve", "retry"):
        assert cli("error", command, "0").error_code == "not-found"


def test_a_letter_whose_key_is_taken_is_said_to_stay(cli: Cli, db: Database) -> None:
    """Its line had no message id, and no word of why."""
    cli("send", "tasks", "1", "--unique-key", "k")
    letter = bury(db, "tasks", 77, headers='{"postmill-unique-key": "k"}')
    told = cli("dead", "replay", "tasks", str(letter))
    assert f"Letter {letter} stays: another message holds its unique key." in told.err
    assert column(db, "select letter_id from postmill.dead where replayed_at is null") == [letter]
