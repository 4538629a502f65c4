"""postmill.testing: what users import into their own tests."""

from __future__ import annotations

import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from postmill import AsyncClient, Context, Dead, Retry, Sent, Snooze, Worker, worker
from postmill.model.errors import InvalidOption, QueueNotFound, TimedOut
from postmill.testing import assert_sent, delay, drain, fail, lose_lease, sent, shifted_clock
from postmill.testing.databases import address_of, fresh_database

if TYPE_CHECKING:
    from postmill.embedded import Server


@pytest.fixture
def seen() -> list[int]:
    return []


@pytest.fixture
def collect(seen: list[int]) -> Worker:
    """A worker that writes down what it was given."""

    @worker(queue="numbers", retry=Retry.exponential(max_attempts=3, base=3600))
    async def handle(number: int) -> None:
        seen.append(number)
        if number < 0:
            raise ValueError(f"{number} is negative")
        if number == 0:
            raise Dead("zero")

    return handle


async def send(url: str, *numbers: int, after_s: float = 0, queue: str = "numbers") -> list[Sent]:
    async with AsyncClient(url) as client:
        await client.create_queue(queue)
        return await client.send_many(queue, numbers, delay=after_s)


async def test_drain_runs_everything_and_accounts_for_it(
    database_url: str, collect: Worker, seen: list[int]
) -> None:
    good, bad, zero = await send(database_url, 1, -1, 0)
    account = await drain(collect, database=database_url)
    assert sorted(seen) == [-1, -1, -1, 0, 1]
    assert account.completed == [good]
    assert account.left == 0
    assert {(each.msg_id, each.attempt) for each in account.ended("retrying")} == {(bad, 1), (bad, 2)}
    assert {each.msg_id: each.error for each in account.dead} == {
        bad: "ValueError: -1 is negative",
        zero: "Dead: zero",
    }
    assert [str(error) for error in account.errors] == ["-1 is negative"] * 3
    with pytest.raises(ExceptionGroup, match="handlers raised") as caught:
        account.raise_errors()
    assert "in handle" in "".join(traceback.format_exception(caught.value))


async def test_an_empty_queue_is_drained_at_once_and_created(database_url: str, collect: Worker) -> None:
    account = await drain(collect, database=database_url)
    assert (account.attempts, account.left) == ([], 0)
    account.raise_errors()


async def test_it_can_be_drained_again(database_url: str) -> None:
    threads: list[int] = []

    @worker(queue="numbers")
    def in_a_thread(number: int) -> None:
        threads.append(number)

    for number in (1, 2):
        await send(database_url, number)
        await drain(in_a_thread, database=database_url)
    assert threads == [1, 2]


async def test_delays_are_skipped_or_left(database_url: str, collect: Worker, seen: list[int]) -> None:
    await send(database_url, 1)
    await send(database_url, 2, after_s=86_400)
    account = await drain(collect, database=database_url, delays="leave")
    assert (seen, account.left) == ([1], 1)
    account = await drain(collect, database=database_url)
    assert (seen, account.left) == ([1, 2], 0)


async def test_delays_are_waited_for(database_url: str, collect: Worker, seen: list[int]) -> None:
    await send(database_url, 1, after_s=0.1)
    await drain(collect, database=database_url, delays="wait")
    assert seen == [1]


async def test_snoozed_messages_run_again(database_url: str) -> None:
    runs: list[int] = []

    @worker(queue="numbers")
    async def handle(number: int) -> None:
        runs.append(number)
        if len(runs) == 1:
            raise Snooze(3600)

    await send(database_url, 1)
    account = await drain(handle, database=database_url)
    assert [each.outcome for each in account.attempts] == ["snoozed", "completed"]
    assert account.errors == []


async def test_several_workers_pass_messages_on(database_url: str, collect: Worker, seen: list[int]) -> None:
    @worker(queue="doubles")
    async def double(number: int, ctx: Context) -> None:
        await collect.send(number * 2)
        ctx.send("numbers", number * 4)

    await send(database_url, 1)
    await send(database_url, 5, queue="doubles")
    await drain(double, collect, database=database_url)
    assert sorted(seen) == [1, 10, 20]


async def test_a_message_that_is_passed_on_during_a_look_is_seen(
    database_url: str, adb: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each queue was seen at a moment of its own: the message was in neither, and drain had ended."""
    looked: list[str] = []

    class Meanwhile(asyncpg.Connection):
        """Before the first look the message is in the queue that comes second; after it, in the first one."""

        async def fetch(self, query: str, name: str) -> Any:  # type: ignore[override]
            looked.append(name)
            (other,) = {"a", "b"} - {name}
            if len(looked) == 1:
                await adb.execute("select postmill.send($1, '1')", other)
            found = await super().fetch(query, name)
            if len(looked) == 1:
                await adb.execute("select postmill.send($1, '1'), postmill.purge_queue($2)", name, other)
            if len(looked) == 2:
                await adb.execute("select postmill.purge_queue('a'), postmill.purge_queue('b')")
            return found

    async def connect(*_: object) -> asyncpg.Connection:
        return await asyncpg.connect(database_url, connection_class=Meanwhile)

    @worker(queue="a")
    async def a(number: int) -> None: ...

    @worker(queue="b")
    async def b(number: int) -> None: ...

    await adb.execute("select postmill.create_queue('a'), postmill.create_queue('b')")
    await adb.execute("select postmill.pause('a'), postmill.pause('b')")
    monkeypatch.setattr("postmill.testing.draining.open_connection", connect)
    await drain(a, b, database=database_url)
    assert len(looked) == 4


async def test_what_never_ends_is_an_error(database_url: str) -> None:
    @worker(queue="numbers")
    async def again(number: int, ctx: Context) -> None:
        ctx.send("numbers", number + 1)

    await send(database_url, 1)
    with pytest.raises(TimedOut, match="attempts have ended"):
        await drain(again, database=database_url, timeout_s=1)


async def test_a_handler_is_failed_at_chosen_runs(
    database_url: str, collect: Worker, seen: list[int]
) -> None:
    await send(database_url, 1, 2)
    error = ConnectionError("the network is down")
    account = await drain(collect, database=database_url, faults=[fail(1, error), fail(range(2, 3))])
    assert sorted(seen) == [1, 2]
    assert sorted(str(each) for each in account.errors) == ["injected"] * 2 + ["the network is down"] * 2
    assert [each.attempt for each in account.ended("completed")] == [3, 3]


async def test_a_slow_run_meets_its_time_limit(database_url: str) -> None:
    @worker(queue="numbers", timeout=0.1, retry=Retry.fixed(0, max_attempts=2))
    async def handle(_: int) -> None: ...

    await send(database_url, 1)
    account = await drain(handle, database=database_url, faults=[delay(60)])
    assert [each.outcome for each in account.attempts] == ["retrying", "completed"]


async def test_a_lost_lease_runs_the_message_twice(
    database_url: str, collect: Worker, seen: list[int]
) -> None:
    (msg_id,) = await send(database_url, 1)
    account = await drain(collect, database=database_url, faults=[lose_lease()])
    assert seen == [1, 1]
    assert account.completed == [msg_id]
    # The worker may run it again before it hears that the first run came to nothing.
    assert sorted(each.outcome for each in account.attempts) == ["completed", "lost"]


async def test_faults_are_refused_for_batches(database_url: str) -> None:
    @worker(queue="numbers", batch=10)
    async def handle(_: list[int]) -> None: ...

    with pytest.raises(InvalidOption, match="single messages"):
        await drain(handle, database=database_url, faults=[fail()])


async def test_what_was_sent_can_be_asserted(database_url: str, collect: Worker) -> None:
    async with AsyncClient(database_url) as client:
        await client.create_queue("emails")
        first = await client.send("emails", {"to": "ada", "body": {"text": "hi", "lang": "en"}})
        await client.send("emails", {"to": "bob"}, headers={"tenant": "acme"}, delay=60)
    await send(database_url, 7)
    await drain(collect, database=database_url)

    assert [each["msg_id"] for each in assert_sent(database_url, "emails", {"to": "ada"})] == [first]
    assert_sent(database_url, "emails", {"body": {"lang": "en"}}, count=1)
    assert_sent(database_url, "emails", count=2)
    assert_sent(database_url, "emails", headers={"tenant": "acme"}, count=1)
    assert_sent(database_url, "emails", {"to": "eve"}, count=0)
    assert [each["state"] for each in assert_sent(database_url, "numbers", 7)] == ["completed"]
    assert [each["state"] for each in sent(database_url, "emails")] == ["ready", "scheduled"]


@pytest.mark.parametrize(
    ("payload", "count", "says"),
    [
        (
            {"to": "eve"},
            None,
            r"at least one message like \{'to': 'eve'\} in emails, found 0 of 1:\n  1 ready",
        ),
        ({"to": "ada"}, 2, "2 messages like .* found 1 of 1"),
        ("ada", None, "found 0 of 1"),
    ],
)
async def test_an_assertion_that_fails_shows_what_there_is(
    database_url: str, payload: object, count: int | None, says: str
) -> None:
    async with AsyncClient(database_url) as client:
        await client.create_queue("emails")
        await client.send("emails", {"to": "ada"})
    with pytest.raises(AssertionError, match=says):
        assert_sent(database_url, "emails", payload, count=count)


def test_a_queue_that_is_not_there_is_no_empty_queue(database_url: str) -> None:
    with pytest.raises(QueueNotFound):
        assert_sent(database_url, "nowhere", count=0)


async def test_the_clock_is_shifted_for_new_connections_and_put_back(database_url: str) -> None:
    async def ahead() -> timedelta:
        connection = await asyncpg.connect(database_url)
        try:
            shift: timedelta = await connection.fetchval("select postmill.now() - clock_timestamp()")
        finally:
            await connection.close()
        return shift

    with shifted_clock(database_url, timedelta(days=8)):
        assert abs(await ahead() - timedelta(days=8)) < timedelta(minutes=1)
    assert abs(await ahead()) < timedelta(minutes=1)


async def test_a_fresh_database_is_migrated_and_empty(shared_server: Server, collect: Worker) -> None:
    with fresh_database(shared_server.url) as first, fresh_database(shared_server.url) as second:
        await send(first, 1)
        assert len((await drain(collect, database=first)).completed) == 1
        assert (await drain(collect, database=second)).attempts == []


@pytest.mark.parametrize(
    ("server_url", "database"),
    [
        ("postgresql://ada:secret@box:5433/postgres", "postgresql://ada:secret@box:5433/mine"),
        (
            "postgresql://postgres@/postmill?host=/tmp/x&port=1",
            "postgresql://postgres@/mine?host=/tmp/x&port=1",
        ),
    ],
)
def test_the_address_of_another_database(server_url: str, database: str) -> None:
    assert address_of(server_url, "mine") == database
