"""Putting things right from the command line: retry, discard, drain, retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]

LETTER = """
    insert into postmill.dead_letters
        (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason, died_at)
    values ('tasks', $1, 6, clock_timestamp(), '{"n": 1}', 6, 'error', 'no',
        clock_timestamp() - make_interval(days => $2))
    returning letter_id"""
CLAIM = """
    insert into postmill.claims (queue_name, worker_id, msg_ids, read_cts)
    select 'tasks', worker_id, array[$1::bigint], array[1] from postmill.workers limit 1"""


@pytest.fixture(autouse=True)
def tasks(db: Database) -> None:
    db.execute("select postmill.create_queue('tasks')")


def letter(db: Database, msg_id: int, *, days_ago: int = 0) -> int:
    return int(fetched(db, LETTER, msg_id, days_ago)["letter_id"])


def fetched(db: Database, text: str, *arguments: object) -> dict[str, Any]:
    row = psycopg.RawCursor(db, row_factory=db.row_factory).execute(text, arguments).fetchone()
    assert row is not None
    return row


def worker(db: Database, *, ends_with: int = 1) -> str:
    row = fetched(
        db,
        "insert into postmill.workers "
        "(worker_id, queue_name, function_name, hostname, pid, version, max_concurrent) "
        "values ($1::text::uuid, 'tasks', 'f', 'h', 1, '0', 1) returning worker_id",
        f"1f0c0000-0000-4000-8000-{ends_with:012d}",
    )
    return str(row["worker_id"])


def test_a_delayed_message_is_made_ready(cli: Cli, db: Database) -> None:
    (sent,) = cli("send", "tasks", "1", "--delay", "600", "--json").json
    answer = cli("message", "retry", "tasks", str(sent["msg_id"]), "--json")
    assert answer.json == [{"msg_id": sent["msg_id"], "outcome": "ready"}]
    assert cli("queue", "show", "tasks", "--json").json["ready"] == 1


def test_a_dead_message_is_put_back_once(cli: Cli, db: Database) -> None:
    letter(db, 77)
    assert cli("message", "retry", "tasks", "77", "--json").json == [{"msg_id": 77, "outcome": "replayed"}]
    again = cli("message", "retry", "tasks", "77", "--json")
    assert (again.code, again.json[0]["outcome"]) == (3, "not found")
    assert cli("queue", "show", "tasks", "--json").json["ready"] == 1


def test_a_message_that_runs_is_left_alone(cli: Cli, db: Database) -> None:
    """A retry that took it from its worker would run it twice."""
    worker(db)
    (sent,) = cli("send", "tasks", "1", "--json").json
    db.execute("update pgmq.q_tasks set vt = clock_timestamp() + interval '1 min', read_ct = 1")
    psycopg.RawCursor(db).execute(CLAIM, (sent["msg_id"],))
    assert cli("message", "retry", "tasks", str(sent["msg_id"]), "--json").json[0]["outcome"] == "running"
    assert cli("queue", "show", "tasks", "--json").json["running"] == 1


def test_letters_are_discarded_by_id_by_age_and_all(cli: Cli, db: Database) -> None:
    first, *_ = (letter(db, number, days_ago=number) for number in range(5))
    assert cli("dead", "discard", "tasks", str(first), "--json", "-y").json == {
        "queue": "tasks",
        "discarded": True,
        "letters": 1,
    }
    counted = cli("dead", "discard", "tasks", "--older-than", "60h", "--dry-run", "--json").json
    assert (counted["kind"], counted["matching"]) == ("discard", 2)
    assert cli("dead", "discard", "tasks", "--older-than", "60h", "-y", "--json").json["done"] == 2
    assert cli("dead", "discard", "tasks", "--all", "-y", "--json").json["done"] == 2
    assert cli("dead", "list", "--json").json == []


def test_discarding_asks_first(cli: Cli, db: Database) -> None:
    letter(db, 1)
    refused = cli("dead", "discard", "tasks", "--all")
    assert (refused.code, refused.error_code) == (4, "refused")
    assert "deletes 1 dead letter" in refused.err
    assert len(cli("dead", "list", "--json").json) == 1


def test_a_letter_that_is_not_there_keeps_the_others(cli: Cli, db: Database) -> None:
    one = letter(db, 1)
    answer = cli("dead", "discard", "tasks", str(one), "999999", "-y")
    assert (answer.code, answer.error_code) == (3, "not-found")
    assert len(cli("dead", "list", "--json").json) == 1


@pytest.mark.parametrize(
    "arguments", [(), ("1", "--all"), ("--all", "--older-than", "1d"), ("--older-than", "1 fortnight")]
)
def test_what_is_discarded_is_said_once(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli("dead", "discard", "tasks", *arguments).error_code == "usage"


def test_a_worker_is_drained_by_the_beginning_of_its_id(cli: Cli, db: Database) -> None:
    found = worker(db)
    assert cli("worker", "drain", found[:8], "--json").json == {"worker_id": found, "draining": True}
    assert [row["state"] for row in cli("worker", "list", "--json").json] == ["draining"]


def test_an_id_that_names_no_worker_or_two_drains_none(cli: Cli, db: Database) -> None:
    worker(db)
    worker(db, ends_with=2)
    assert cli("worker", "drain", "beef").error_code == "not-found"
    assert cli("worker", "drain", "%").error_code == "not-found"
    several = cli("worker", "drain", "1f0c")
    assert (several.error_code, "several" in several.err) == ("invalid-option", True)
    assert {row["state"] for row in cli("worker", "list", "--json").json} == {"active"}


def test_retention_is_shown_and_set(cli: Cli) -> None:
    assert cli("queue", "retention", "tasks", "--json").json == {
        "queue": "tasks",
        "archive_s": 604_800.0,
        "history_s": 604_800.0,
        "archive_max_rows": 10_000_000,
    }
    assert cli("queue", "retention", "tasks", "12h", "--json").json["archive_s"] == 43_200
    assert cli("queue", "retention", "tasks", "forever", "--json").json["archive_s"] is None
    assert "forever" in cli("queue", "retention", "tasks").out
    assert "any number" in cli("queue", "retention", "tasks").out
    assert cli("queue", "retention", "tasks", "1d", "--max-rows", "5", "--json").json["archive_max_rows"] == 5
    assert "at most 5" in cli("queue", "retention", "tasks").out
    assert "Say for how long" in cli("queue", "retention", "tasks", "--max-rows", "5").err
    assert cli("queue", "retention", "nothing").error_code == "queue-not-found"


def test_a_message_is_sent_for_a_moment(cli: Cli, db: Database) -> None:
    at = datetime.now(UTC) + timedelta(hours=2)
    cli("send", "tasks", "1", "--run-at", at.isoformat())
    cli("send", "tasks", "2", "--run-at", at.astimezone().replace(tzinfo=None).isoformat())
    assert db.execute("select vt as at from pgmq.q_tasks").fetchall() == [{"at": at}] * 2
    assert cli("send", "tasks", "3", "--run-at", "tomorrow").error_code == "usage"
    assert cli("send", "tasks", "3", "--run-at", "09:00", "--delay", "3").error_code == "invalid-option"
