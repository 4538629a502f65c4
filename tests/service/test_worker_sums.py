"""A worker adds what it has done to the table ``minutes``: once, whatever becomes of the answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from postmill import Dead, worker
from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.maintain import minute_writer
from postmill.engine.maintain.minute_sums import MinuteSums
from postmill.engine.maintain.minute_writer import write_sums
from postmill.model.config.address import Address
from postmill.model.events import Event
from postmill.model.queue.retry import FixedRetry
from postmill.sql.catalog import statement
from tests.service.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.service.running import Running

SUMS = """
select coalesce(sum(started), 0) as started, coalesce(sum(completed), 0) as completed,
       coalesce(sum(failed), 0) as failed, coalesce(sum(dead), 0) as dead from postmill.minutes
"""


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the end of a worker writes."""
    monkeypatch.setattr(minute_writer, "EVERY_S", 1e9)


async def counted(run: Running) -> tuple[int, ...]:
    return tuple(await run.db.fetchrow(SUMS))


async def test_each_end_is_counted_with_the_heartbeat(database_url: str) -> None:
    @worker(retry=FixedRetry(2, 0.0))
    async def handle(payload: str) -> None:
        if payload == "fails":
            raise ValueError(payload)
        if payload == "dies":
            raise Dead(payload)

    async with running(database_url, handle) as run:
        for payload in ("works", "works", "fails", "dies"):
            await run.send(f'"{payload}"')
        await run.until(Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD, count=4)
        await run.true_in_database("(select sum(completed + dead) = 4 from postmill.minutes)")
        assert await counted(run) == (4, 2, 3, 2)
        times = await run.db.fetchrow(
            "select sum(ran_ms) as ran, sum(waited_ms) as waited from postmill.minutes"
        )
        assert 0 <= times["ran"] < 60_000
        assert 0 <= times["waited"] < 60_000


async def test_what_is_left_is_written_at_the_end(database_url: str, never: None) -> None:
    @worker
    async def handle(_: Any) -> None: ...

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.MESSAGE_COMPLETED)
        assert await counted(run) == (0, 0, 0, 0)
        await run.engine.stop()
        assert await counted(run) == (1, 1, 0, 0)


async def test_a_worker_without_work_sends_nothing(database_url: str) -> None:
    """The statements of an idle fleet are counted; these would be ten more a second for twenty workers."""
    sent: list[str] = []

    class Shared:
        async def fetchrow(self, text: str, *_: object) -> None:
            sent.append(text)

    class Worker:
        sums = MinuteSums()

    for _ in range(3):
        await write_sums(Shared(), [Worker()])  # type: ignore[arg-type, list-item]
    assert sent == []


class LosesAnswers(SharedConnection):
    """The statement is executed and committed, and its answer never comes."""

    losing = False

    async def fetchrow(self, text: str, *arguments: Any, **named: Any) -> Any:
        row = await super().fetchrow(text, *arguments, **named)
        if self.losing and text == statement("worker_minutes"):
            raise asyncpg.ConnectionDoesNotExistError("cut on purpose")
        return row


@pytest.fixture
async def shared(database_url: str) -> AsyncIterator[LosesAnswers]:
    connection = LosesAnswers(Address(database_url), "test")
    yield connection
    await connection.close()


async def test_an_answer_that_is_lost_counts_nothing_twice(
    database_url: str, shared: LosesAnswers, never: None
) -> None:
    @worker
    async def handle(_: Any) -> None: ...

    async with running(database_url, handle) as run:
        maintained = run.worker.maintained("1")
        for count in (1, 2):
            await run.send("{}")
            await run.until(Event.MESSAGE_COMPLETED, count=count)
            shared.losing = True
            for _ in range(3):
                with pytest.raises(asyncpg.ConnectionDoesNotExistError) as error:
                    await write_sums(shared, [maintained])
                assert is_passing(error.value)
            shared.losing = False
            await write_sums(shared, [maintained])
            await write_sums(shared, [maintained])
            assert await counted(run) == (count, count, 0, 0)


async def test_sums_that_are_refused_hurt_neither_heartbeats_nor_later_sums(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role that may not write them: the worker goes on, and says so."""
    monkeypatch.setattr(minute_writer, "EVERY_S", 0.05)
    monkeypatch.setattr(minute_writer, "AFTER_FAILURE_S", 0.05)

    @worker
    async def handle(_: Any) -> None: ...

    async with running(database_url, handle) as run:
        await run.db.execute("alter table postmill.minutes rename to elsewhere")
        await run.send("{}")
        failed = await run.until(Event.WORKER_FAILED)
        assert failed[0]["reason"] == "counting what was done failed"
        beaten = await run.db.fetchval("select last_heartbeat_at::text from postmill.workers")
        await run.true_in_database(
            f"exists (select from postmill.workers where last_heartbeat_at > '{beaten}'::timestamptz)"
        )
        await run.db.execute("alter table postmill.elsewhere rename to minutes")
        await run.true_in_database("(select sum(completed) = 1 from postmill.minutes)")


async def test_workers_of_one_queue_share_few_rows(database_url: str) -> None:
    async def settled(url: str) -> None:
        connection = await asyncpg.connect(url)
        worker_id = uuid4()
        await connection.execute(
            "insert into postmill.workers (worker_id, queue_name, function_name, hostname, pid, version,"
            " max_concurrent) values ($1, 'tasks', 'f', 'h', 1, '1', 1)",
            worker_id,
        )
        slot = worker_id.int % minute_writer.SLOTS
        for number in range(1, 21):
            given = (worker_id, number, "tasks", slot, 1, 1, 0, 0, 0, 0)
            assert await connection.fetchval(statement("worker_minutes"), *given)
        await connection.close()

    await asyncio.gather(*(settled(database_url) for _ in range(8)))
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("select sum(completed) from postmill.minutes") == 160
    assert await connection.fetchval("select max(slot) < 4 from postmill.minutes")
    await connection.close()
