"""Sends that ask for more than their delivery, on every kind of connection, against a real Postgres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from postmill import AsyncClient, Client, Context, Sent, Then, worker
from postmill.model.errors import (
    DuplicateMessage,
    InvalidOption,
    InvalidPayload,
    InvalidQueueName,
    QueueNotFound,
)
from postmill.model.events import Event
from tests.service.running import running
from tests.service.test_client import ASYNC, SYNC, own_connection, own_pool, rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    Db = psycopg.Connection[dict[str, Any]]


@pytest.fixture(autouse=True)
def queue(db: Db) -> None:
    db.execute("select postmill.create_queue('jobs')")


EVERYTHING: dict[str, Any] = {"unique_key": "k", "priority": 7, "headers": {"h": "ü"}}
STORED = {"h": "ü", "postmill-unique-key": "k", "postmill-priority": 7}


@pytest.mark.parametrize("target", [*SYNC, "address"])
def test_on_each_synchronous_connection(target: str, db: Db, database_url: str) -> None:
    opened: Callable[[str], AbstractContextManager[Client]] = SYNC.get(target, own_connection)
    with opened(database_url) as client:
        first = client.send("jobs", {"n": 1}, **EVERYTHING)
        again = client.send("jobs", {"n": 2}, **EVERYTHING)
        many = client.send_many("jobs", [1, 2, 3], unique_key=lambda n: f"m{n % 2}", priority=lambda n: n)
    assert (first.existed, again.existed, again, again.queue) == (False, True, first, "jobs")
    assert [each.existed for each in many] == [False, False, True]
    assert [(row["message"], row["headers"].get("postmill-priority")) for row in rows(db)] == [
        ({"n": 1}, 7),
        (1, 1),
        (2, 2),
    ]
    assert rows(db)[0]["headers"] == STORED


@pytest.mark.parametrize("target", [*ASYNC, "address"])
async def test_on_each_asynchronous_connection(target: str, db: Db, database_url: str) -> None:
    opened: Callable[[str], AbstractAsyncContextManager[AsyncClient]] = ASYNC.get(target, own_pool)
    async with opened(database_url) as client:
        first = await client.send("jobs", {"n": 1}, **EVERYTHING)
        again = await client.send("jobs", {"n": 2}, **EVERYTHING)
        many = await client.send_many("jobs", [1, 2, 3], unique_key=lambda n: f"m{n % 2}")
    assert (first.existed, again.existed, again, again.queue) == (False, True, first, "jobs")
    assert [each.existed for each in many] == [False, False, True]
    assert rows(db)[0]["headers"] == STORED


@pytest.mark.parametrize("target", SYNC)
def test_what_the_callers_transaction_rolls_back_was_never_sent(
    target: str, db: Db, database_url: str
) -> None:
    def fails() -> None:
        with SYNC[target](database_url) as client:
            client.send("jobs", 1, unique_key="k")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert rows(db) == []
    with own_connection(database_url) as client:
        assert not client.send("jobs", 2, unique_key="k").existed


async def test_a_taken_key_raises_where_that_was_asked_for(database_url: str, db: Db) -> None:
    async with AsyncClient(database_url) as client:
        first = await client.send("jobs", 1, unique_key="k", on_conflict="raise")
        with pytest.raises(DuplicateMessage, match="'k' is taken") as refusal:
            await client.send("jobs", 2, unique_key="k", on_conflict="raise")
        await client.send_many("jobs", [3, 4], unique_key=str, on_conflict="raise")
        with pytest.raises(DuplicateMessage):
            await client.send_many("jobs", [5, 4], unique_key=str, on_conflict="raise")
        # A payload may have no key, and then none of a statement's messages has one.
        await client.send_many("jobs", [6], unique_key=lambda _: None, on_conflict="raise")
    assert f"Message {first} of queue 'jobs' holds it." in refusal.value.why
    assert [row["message"] for row in rows(db)] == [1, 3, 4, 6]


def test_replace_and_times(database_url: str, db: Db) -> None:
    with Client(database_url) as client:
        first = client.send("jobs", 1, unique_key="k", unique_for=3600, delay=600)
        again = client.send("jobs", 2, unique_key="k", unique_for=3600, on_conflict="replace")
        later = client.send_many("jobs", [3, 4], unique_key=str, delay=lambda n: n * 100)
    assert (again, again.existed) == (first, True)
    due = {row["message"]: row["vt"] - row["enqueued_at"] for row in rows(db)}
    assert [round(due[n].total_seconds() / 100) for n in (2, 3, 4)] == [0, 3, 4]
    assert [each.existed for each in later] == [False, False]


def test_an_id_that_was_sent_can_be_bound_by_every_driver(database_url: str) -> None:
    with Client(database_url) as client:
        sent = client.send("jobs", 1)
        assert client.cancel("jobs", sent) == "cancelled"
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select %s::bigint", [sent]).fetchone() == (sent,)


async def test_an_id_that_was_sent_can_be_bound_by_asyncpg(adb: asyncpg.Connection) -> None:
    assert await adb.fetchval("select $1::bigint", Sent(17, "jobs")) == 17


def test_a_missing_queue_and_a_missing_schema_are_told(database_url: str, db: Db) -> None:
    with Client(database_url) as client, pytest.raises(QueueNotFound, match="nope"):
        client.send("nope", 1, priority=1)


@dataclass
class Order:
    """What the worker below takes."""

    number: int


@worker(queue="orders")
async def order(payload: Order) -> None: ...


@order.task
async def refund(payload: Order) -> None: ...


async def test_a_worker_and_its_task_are_sent_to_with_options(database_url: str, db: Db) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        first = await order.send(Order(1), connection=connection, unique_key="1", priority=3)
        again = await refund.send(Order(2), connection=connection, unique_key="1", on_conflict="replace")
        async with AsyncClient(database_url) as client:
            many = await client.send_many(
                refund, [Order(3), Order(4)], unique_key=lambda payload: f"r{payload.number}"
            )
            with pytest.raises(InvalidPayload):
                await client.send(order, {"number": "x"}, unique_key="x")
    finally:
        await connection.close()
    assert (first.queue, again, again.existed) == ("orders", first, True)
    found = rows(db, "orders")
    assert [row["message"]["number"] for row in found] == [2, 3, 4]
    assert found[0]["headers"] == {
        "postmill-task": "refund",
        "postmill-unique-key": "1",
        "postmill-priority": 3,
    }
    assert [row["headers"]["postmill-unique-key"] for row in found[1:]] == ["r3", "r4"]
    assert [int(sent) for sent in many] == [row["msg_id"] for row in found[1:]]


async def test_a_handler_sends_with_options(database_url: str, db: Db) -> None:
    sent: list[Sent] = []

    @worker(queue="jobs")
    async def handle(payload: int, ctx: Context) -> None:
        ctx.send("next", 1, unique_key="of ctx", then_send=Then("next", 3))
        async with ctx.transaction() as tx:
            sent.append(await tx.send("next", 2, unique_key="of tx"))
            sent.extend(await tx.send_many("next", [4, 5], unique_key=lambda n: f"of tx {n // 4}"))

    db.execute("select postmill.create_queue('next')")
    async with AsyncClient(database_url) as client, running(database_url, handle) as run:
        await client.send("jobs", 1)
        await run.until(Event.MESSAGE_COMPLETED, count=1)
    assert sorted(row["message"] for row in rows(db, "next")) == [1, 2, 4]
    assert [(each.queue, each.existed) for each in sent] == [("next", False)] * 2 + [("next", True)]


async def test_a_key_that_is_taken_fails_the_attempt_in_our_words(database_url: str, db: Db) -> None:
    """It was the driver's RaiseError, and in a transaction of the handler's own no error of ours either."""
    said: list[str] = []

    @worker(queue="jobs")
    async def handle(payload: int, ctx: Context) -> None:
        try:
            async with ctx.transaction() as tx:
                await tx.send("next", 2, unique_key="k", on_conflict="raise")
        except DuplicateMessage as error:
            said.append(error.why)
        ctx.send("next", 2, unique_key="k", on_conflict="raise")

    db.execute("select postmill.create_queue('next')")
    async with AsyncClient(database_url) as client, running(database_url, handle) as run:
        await client.send("next", 1, unique_key="k")
        await client.send("jobs", 1)
        await run.until(Event.MESSAGE_RETRYING, count=1)
    assert said == ["Message 1 of queue 'next' holds it."]
    assert db.execute("select error_type from postmill.failures").fetchall() == [
        {"error_type": "DuplicateMessage"}
    ]
    assert [row["message"] for row in rows(db, "next")] == [1]


def test_limits_are_set_and_removed(database_url: str, db: Db) -> None:
    limits = "select max_running, starts, group_max_running from postmill.queues where queue_name = 'jobs'"
    with Client(database_url) as client:
        client.limit_queue("jobs", max_running=3, starts=10, per=60)
        client.limit_groups("jobs", max_running=2)
        client.limit_groups("jobs", max_running=1, group_key="acme")
        assert db.execute(limits).fetchone() == {"max_running": 3, "starts": 10, "group_max_running": 2}
        client.limit_queue("jobs")
        with pytest.raises(InvalidOption):
            client.limit_queue("jobs", starts=1)
        with pytest.raises(QueueNotFound):
            client.limit_queue("nope", max_running=1)
    assert db.execute(limits).fetchone() == {"max_running": None, "starts": None, "group_max_running": 2}
    assert db.execute("select max_running from postmill.groups where group_key = 'acme'").fetchone() == {
        "max_running": 1
    }


@pytest.mark.parametrize("target", [*SYNC, "address"])
def test_a_missing_queue_of_a_source_is_the_one_that_is_named(target: str, database_url: str) -> None:
    """The queue that the message is sent to is there, and yet the error named it and said to create it."""
    opened: Callable[[str], AbstractContextManager[Client]] = SYNC.get(target, own_connection)
    with opened(database_url) as client, pytest.raises(QueueNotFound, match="no queue 'nowhere'"):
        client.send("jobs", 1, after="nowhere:1")


@pytest.mark.parametrize("target", [*ASYNC, "address"])
async def test_and_so_it_is_on_asynchronous_connections(target: str, database_url: str) -> None:
    opened: Callable[[str], AbstractAsyncContextManager[AsyncClient]] = ASYNC.get(target, own_pool)
    async with opened(database_url) as client:
        with pytest.raises(QueueNotFound, match="no queue 'nowhere'"):
            await client.send("jobs", 1, after="nowhere:1")


@pytest.mark.parametrize("target", [*ASYNC, "address"])
async def test_an_error_of_sql_comes_with_its_reason_and_advice(target: str, database_url: str) -> None:
    """Through SQLAlchemy and asyncpg both were lost, and the message began with the name of a class."""
    opened: Callable[[str], AbstractAsyncContextManager[AsyncClient]] = ASYNC.get(target, own_pool)
    async with opened(database_url) as client:
        with pytest.raises(InvalidOption) as refused:
            await client.send("jobs", 1, after="jobs:99")
    assert refused.value.what == "Queue 'jobs' has no message 99 yet."
    assert "sent before it" in refused.value.why
    assert "the id that their send returned" in refused.value.hint


async def test_a_worker_stands_for_its_queue(db: Db, database_url: str) -> None:
    """What takes a queue's name takes the worker too, as send does. It was an error of the driver."""

    @worker(queue="jobs")
    async def work(_: int) -> None: ...

    with Client(database_url) as client:
        client.limit_queue(work, max_running=3)
        client.limit_groups(work, max_running=2)
        client.enable_priority(work)
        client.disable_priority(work)
        client.create_queue(work)
        sent = client.send(work, 1)
        assert (client.cancel(work, sent), client.replay(work)) == ("cancelled", [])
        with pytest.raises(InvalidQueueName, match="5 is not the name of a queue"):
            client.limit_queue(5, max_running=1)  # type: ignore[arg-type]
    async with AsyncClient(database_url) as other:
        await other.limit_queue(work, max_running=4)
    assert db.execute("select max_running from postmill.queues").fetchone() == {"max_running": 4}
