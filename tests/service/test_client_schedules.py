"""Schedules from Python: on every kind of connection, in the caller's transaction, mistakes told early."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from postmill import AsyncClient, Client, Then, worker
from postmill.client import scheduling
from postmill.model.errors import InvalidOption, InvalidPayload, NotFound, PostmillError, QueueNotFound
from tests.service.test_client import ASYNC, SYNC, own_connection, own_pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    import psycopg

    Db = psycopg.Connection[dict[str, Any]]


@dataclass
class Report:
    of: str


@worker(queue="reports")
async def report(_: Report) -> None: ...


HOW: dict[str, Any] = {
    "timezone": "Europe/Berlin",
    "overlap": "queue",
    "catch_up": "all",
    "jitter": timedelta(minutes=1),
    "delay": 30,
    "headers": {"tenant": 7},
    "unique_key": "k",
    "unique_for": 60,
    "on_conflict": "replace",
    "priority": 3,
    "group_key": "g",
    "then_send": Then("next", 1),
    "else_send": Then("next", 2, delay=5),
}
CALL: dict[str, Any] = {
    "function": "send-digest",
    "body": {"to": "ü"},
    "method": "PUT",
    "headers": {"X-A": "1"},
    "timeout": timedelta(seconds=90),
    "max_attempts": 4,
    "timezone": "Europe/Berlin",
    "overlap": "queue",
    "catch_up": "all",
    "jitter": 60,
}
CALLED = {"function": "send-digest", "method": "PUT", "timeout_ms": 90_000, "max_attempts": 4}
TARGET = {
    "queue": "reports",
    "message": {"of": "ü"},
    "headers": {"tenant": 7},
    "delay_s": 30.0,
    "unique_key": "k",
    "unique_for_s": 60.0,
    "on_conflict": "replace",
    "priority": 3,
    "group_key": "g",
    "then_send": {"queue": "next", "message": 1},
    "else_send": {"queue": "next", "message": 2, "delay_s": 5.0},
}


def schedules(db: Db) -> list[dict[str, Any]]:
    return db.execute("select * from postmill.schedule_list order by name").fetchall()


def check_call(db: Db, made: dict[str, Any]) -> None:
    """It is the schedule of :data:`CALL`, and has asked for one call."""
    assert (made["target"], made["recurrence"], made["timezone"], made["overlap"], made["catch_up"]) == (
        CALLED,
        *("0 7 * * mon", "Europe/Berlin", "queue", "all"),
    )
    [asked] = db.execute("select headers, body from postmill.calls").fetchall()
    assert asked == {
        "headers": {"X-A": "1", "Content-Type": "application/json"},
        "body": '{"to": "ü"}'.encode(),
    }


def check_command(db: Db, made: dict[str, Any]) -> None:
    """It is the schedule of a SQL command that runs as the session's user, and is to run once."""
    assert (made["target"], made["run_as"]) == ({"command": "delete from sessions"}, "postgres")
    assert (made["overlap"], made["catch_up"], made["last_status"]) == ("queue", "none", "pending")


@pytest.fixture
def queue(db: Db) -> None:
    db.execute("select postmill.create_queue('reports')")


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("target", [*SYNC, "address"])
def test_on_each_synchronous_connection(target: str, db: Db, database_url: str) -> None:
    opened: Callable[[str], AbstractContextManager[Client]] = SYNC.get(target, own_connection)
    with opened(database_url) as client:
        client.schedule("nightly", report, Report("ü"), "0 3 * * *", **HOW)
        client.schedule("gone", "reports", None, "@daily")
        client.pause_schedule("nightly")
        sent = client.run_schedule("nightly")
        client.resume_schedule("nightly")
        client.unschedule("gone")
        client.schedule_call("digest", "0 7 * * mon", **CALL)
        assert client.run_schedule("digest") is None
        client.schedule_sql("purge", "delete from sessions", "@daily", overlap="queue", catch_up="none")
        assert client.run_schedule("purge") is None
    assert sent is not None
    assert (sent, sent.queue) == (1, "reports")
    [digest, made, purge] = schedules(db)
    check_call(db, digest)
    check_command(db, purge)
    assert made["target"] == TARGET
    assert (made["recurrence"], made["timezone"], made["overlap"], made["catch_up"], made["jitter"]) == (
        "0 3 * * *",
        "Europe/Berlin",
        "queue",
        "all",
        timedelta(minutes=1),
    )


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("target", [*ASYNC, "address"])
async def test_on_each_asynchronous_connection(target: str, db: Db, database_url: str) -> None:
    opened: Callable[[str], AbstractAsyncContextManager[AsyncClient]] = ASYNC.get(target, own_pool)
    async with opened(database_url) as client:
        await client.schedule("nightly", report, Report("ü"), "0 3 * * *", **HOW)
        await client.schedule("gone", "reports", None, "@daily")
        await client.pause_schedule("nightly")
        sent = await client.run_schedule("nightly")
        await client.resume_schedule("nightly")
        await client.unschedule("gone")
        await client.schedule_call("digest", "0 7 * * mon", **CALL)
        assert await client.run_schedule("digest") is None
        await client.schedule_sql("purge", "delete from sessions", "@daily", overlap="queue", catch_up="none")
        assert await client.run_schedule("purge") is None
    assert sent is not None
    assert (sent, sent.queue) == (1, "reports")
    [digest, made, purge] = schedules(db)
    check_call(db, digest)
    check_command(db, purge)
    assert (made["target"], made["state"]) == (TARGET, "active")


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("target", SYNC)
def test_what_the_callers_transaction_rolls_back_was_never_scheduled(
    target: str, db: Db, database_url: str
) -> None:
    def fails() -> None:
        with SYNC[target](database_url) as client:
            client.schedule("nightly", "reports", 1, "@daily")
            client.run_schedule("nightly")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert schedules(db) == []
    assert db.execute("select from pgmq.q_reports").fetchall() == []


def test_a_missing_queue_of_a_worker_is_created_and_that_of_a_name_is_not(db: Db, database_url: str) -> None:
    with Client(database_url) as client:
        with pytest.raises(QueueNotFound):
            client.schedule("a", "reports", 1, "@daily")
        client.schedule("a", report, Report("x"), "@daily")
    assert [row["name"] for row in schedules(db)] == ["a"]


@pytest.mark.parametrize("change", ["unschedule", "pause_schedule", "resume_schedule", "run_schedule"])
def test_an_unknown_name_is_told(database_url: str, change: str) -> None:
    with Client(database_url) as client, pytest.raises(NotFound, match="There is no schedule 'x'"):
        getattr(client, change)("x")


@pytest.mark.parametrize(
    ("when", "options", "said"),
    [
        ("61 * * * *", {}, "can't be read"),
        ("@daily", {"timezone": "Europe/Berlni"}, "Europe/Berlin"),
        ("@daily", {"time_zone": "UTC"}, "timezone"),
        ("@daily", {"overlap": "skp"}, "skip"),
        ("@daily", {"catch_up": "every"}, "catch_up"),
        ("@daily", {"jitter": -1}, "jitter"),
        ("@daily", {"jitter": timedelta(days=2)}, "at most a day"),
        ("@daily", {"run_at": datetime(2030, 1, 1, tzinfo=UTC)}, "Its ticks say when"),
        ("@daily", {"after": "a:1"}, "overlap='queue'"),
        ("@daily", {"on_source_dead": "skip"}, "overlap='queue'"),
        ("@daily", {"unique_for": 5}, "there is none"),
        ("@daily", {"priority": 10}, "priority"),
        ("@daily", {"then_send": "emails"}, "is no message to send"),
    ],
)
def test_a_mistake_is_told_before_anything_is_sent(when: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        scheduling.making("a", "q", 1, when, **options)
    assert said in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("when", "options", "said"),
    [
        ("61 * * * *", {"url": "https://x"}, "can't be read"),
        ("@daily", {}, "A call has a function or a url"),
        ("@daily", {"url": "https://x", "function": "a"}, "A call has a function or a url"),
        ("@daily", {"url": "https://x", "retries": 3}, "max_attempts"),
        ("@daily", {"url": 7}, "url=7 is no text"),
        ("@daily", {"url": "https://x", "method": 7}, "method=7 is no text"),
        ("@daily", {"url": "https://x", "headers": ["a"]}, "headers"),
        ("@daily", {"url": "https://x", "params": "a=b"}, "params"),
        ("@daily", {"url": "https://x", "timeout": 0}, "timeout"),
        ("@daily", {"url": "https://x", "max_attempts": 101}, "max_attempts"),
        ("@daily", {"url": "https://x", "overlap": "skp"}, "skip"),
        ("@daily", {"url": "https://x", "timezone": "Berlin"}, "timezone"),
    ],
)
def test_a_mistake_in_a_call_is_told_before_anything_is_sent(
    when: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidOption) as caught:
        scheduling.calling("a", when, **options)
    assert said in f"{caught.value} {caught.value.why} {caught.value.hint}"


@pytest.mark.parametrize(
    ("command", "when", "options", "said"),
    [
        ("select 1", "61 * * * *", {}, "can't be read"),
        (" ", "@daily", {}, "is no SQL command"),
        ("select '\0'", "@daily", {}, "is no SQL command"),
        (7, "@daily", {}, "is no SQL command"),
        ("select 1", "@daily", {"jitter": 5}, "timezone"),
        ("select 1", "@daily", {"overlap": "skp"}, "skip"),
        ("select 1", "@daily", {"timezone": "Berlin"}, "timezone"),
    ],
)
def test_a_mistake_in_a_command_is_told_before_anything_is_sent(
    command: Any, when: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidOption) as caught:
        scheduling.commanding("a", command, when, **options)
    assert said in f"{caught.value} {caught.value.why} {caught.value.hint}"


def test_what_only_the_database_refuses_is_told_in_its_words(database_url: str) -> None:
    with Client(database_url) as client:
        with pytest.raises(InvalidOption, match="no address of a web server"):
            client.schedule_call("a", "@daily", url="nowhere")
        with pytest.raises(PostmillError, match="not granted the secret KEY"):
            client.schedule_call("a", "@daily", url="https://x", headers={"X": "{{secret:KEY}}"})


@pytest.mark.parametrize("name", ["", "x" * 201, "a\0b", None, 7])
def test_a_name_is_a_short_text(name: Any) -> None:
    with pytest.raises(InvalidOption, match="no name of a schedule"):
        scheduling.pausing(name)


def test_a_payload_is_checked_for_its_worker() -> None:
    with pytest.raises(InvalidPayload):
        scheduling.making("a", report, {"off": 1}, "@daily")
