"""What ends the rest of an idle worker whose own polls come too late: each message here starts because the
worker was woken, or knew when the message falls due.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from postmill import worker
from postmill.model.events import Event
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.handlers import Worker
    from tests.service.running import Running

SELDOM_S = 3600.0
"""The poll floor of the workers here: no test lasts as long."""


@asynccontextmanager
async def seldom_polling(url: str) -> AsyncIterator[Running]:
    """A worker at rest that polls once an hour."""

    @worker(queue="tasks", max_poll_seconds=SELDOM_S)
    async def note(number: int) -> int:
        return number

    async with running(url, note) as run:
        await run.idle()
        yield run


async def test_a_message_that_falls_due_before_the_next_poll_starts_in_time(database_url: str) -> None:
    """The wake-up is silent for what a poll finds in time; here no poll would."""
    async with seldom_polling(database_url) as run:
        await run.db.execute(
            "insert into pgmq.q_tasks (vt, message) values (clock_timestamp() + '0.3 s', '1')"
        )
        await run.until(Event.MESSAGE_COMPLETED)


async def test_a_retried_message_starts_at_once(database_url: str) -> None:
    """An update wakes nobody by itself: the function that makes a message due wakes a worker."""
    async with seldom_polling(database_url) as run:
        await run.db.execute("insert into pgmq.q_tasks (vt, message) values ('9998-12-31', '1')")
        assert await run.db.fetchval("select postmill.retry('tasks', 1)") == "ready"
        await run.until(Event.MESSAGE_COMPLETED)


async def test_a_resumed_queue_starts_at_once(database_url: str) -> None:
    async with seldom_polling(database_url) as run:
        await run.db.execute("select postmill.pause('tasks')")
        await run.until(Event.QUEUE_PAUSED)
        await run.send("1")
        await run.db.execute("select postmill.resume('tasks')")
        await run.until(Event.MESSAGE_COMPLETED)


async def test_sends_that_wake_nobody_are_found_when_they_fall_due(database_url: str) -> None:
    """A worker that polls every half a second finds a message that is due in a second by its own polls."""

    @worker(queue="tasks", max_poll_seconds=0.5)
    async def note(number: int) -> int:
        return number

    async with running(database_url, note) as run:
        await run.idle()
        woken = asyncio.Event()
        channel = f"postmill.worker.{run.worker.claimer.worker_id}"
        await run.db.add_listener(channel, lambda *_: woken.set())
        await run.db.execute("select pgmq.send('tasks', '1', 1)")
        async with asyncio.timeout(GIVE_UP_S):
            await run.until(Event.MESSAGE_COMPLETED)
        assert not woken.is_set()


@asynccontextmanager
async def held_back(url: str, workers: int = 1) -> AsyncIterator[tuple[Running, asyncio.Event, list[int]]]:
    """Workers at rest that poll once an hour, an event that ends their handlers, and what these started."""
    gate, started = asyncio.Event(), list[int]()

    def made() -> Worker:
        @worker(queue="tasks", max_poll_seconds=SELDOM_S, max_concurrent=10)
        async def note(number: int) -> None:
            started.append(number)
            await gate.wait()

        return note

    async with running(url, *(made() for _ in range(workers))) as run:
        await run.idle(count=workers)
        try:
            yield run, gate, started
        finally:
            gate.set()


async def until_started(run: Running, started: list[int], *numbers: int) -> None:
    async with asyncio.timeout(GIVE_UP_S):
        while sorted(started) != sorted(numbers):  # noqa: ASYNC110 - a start is said nowhere
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_next_message_of_a_group_starts_when_the_one_before_has_ended(
    database_url: str, workers: int
) -> None:
    async with held_back(database_url, workers) as (run, gate, started):
        await run.db.execute("select postmill.limit_groups('tasks', max_running => 1)")
        for number in range(3):
            await run.db.execute(f"select postmill.send('tasks', '{number}', group_key => 'a')")
        await until_started(run, started, 0)
        gate.set()
        await until_started(run, started, 0, 1, 2)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("limit", ["groups", "queue"])
async def test_a_raised_limit_lets_messages_start_at_once(
    database_url: str, limit: str, workers: int
) -> None:
    """Nothing was sent and nothing has ended: the change itself has to be told."""
    async with held_back(database_url, workers) as (run, _, started):
        await run.db.execute(f"select postmill.limit_{limit}('tasks', max_running => 1)")
        for number in range(3):
            await run.db.execute(f"select postmill.send('tasks', '{number}', group_key => 'a')")
        await until_started(run, started, 0)
        await run.db.execute(f"select postmill.limit_{limit}('tasks', max_running => 2)")
        await until_started(run, started, 0, 1)
        await run.db.execute(f"select postmill.limit_{limit}('tasks')")
        await until_started(run, started, 0, 1, 2)


async def test_a_delayed_message_of_a_group_starts_in_time(database_url: str) -> None:
    async with held_back(database_url) as (run, _, started):
        await run.db.execute("select postmill.send('tasks', '1', delay => '0.3 s', group_key => 'a')")
        await until_started(run, started, 1)


async def test_starts_that_a_rate_limit_holds_back_follow_in_time(database_url: str) -> None:
    async with held_back(database_url) as (run, gate, started):
        gate.set()
        await run.db.execute("select postmill.limit_queue('tasks', starts => 1, per => '0.2 s')")
        for number in range(3):
            await run.db.execute(f"select postmill.send('tasks', '{number}')")
        await until_started(run, started, 0, 1, 2)


@pytest.mark.parametrize("end", ["completed", "cancelled"])
async def test_a_message_starts_when_its_source_has_ended(database_url: str, end: str) -> None:
    async with held_back(database_url) as (run, _, started):
        await run.db.execute("select postmill.create_queue('sources')")
        await run.db.execute("select postmill.send('sources', '1')")
        await run.db.execute(
            "select postmill.send('tasks', '2', after => array['sources:1'], on_source_dead => 'skip')"
        )
        if end == "cancelled":
            await run.db.execute("select postmill.cancel('sources', 1)")
        else:

            @worker(queue="sources")
            async def source(number: int) -> None: ...

            async with running(database_url, source) as other:
                await other.until(Event.MESSAGE_COMPLETED)
        await until_started(run, started, 2)


async def test_a_dependent_of_a_group_starts_when_its_source_has_ended(database_url: str) -> None:
    """It leaves one place where it waits for another, and is due there."""
    async with held_back(database_url) as (run, _, started):
        await run.db.execute("select postmill.create_queue('sources')")
        await run.db.execute("select postmill.send('sources', '1')")
        await run.db.execute(
            "select postmill.send('tasks', '2', after => array['sources:1'], on_source_dead => 'skip',"
            " group_key => 'a')"
        )
        await run.db.execute("select postmill.cancel('sources', 1)")
        await until_started(run, started, 2)


async def test_a_retried_message_of_a_group_starts_at_once(database_url: str) -> None:
    async with held_back(database_url) as (run, _, started):
        await run.db.execute("select postmill.send('tasks', '1', delay => '1 hour', group_key => 'a')")
        assert await run.db.fetchval("select postmill.retry('tasks', 1)") == "ready"
        await until_started(run, started, 1)


@pytest.mark.parametrize("delay", ["0 s", "0.3 s"])
async def test_a_message_that_is_replaced_by_one_due_sooner_starts_in_time(
    database_url: str, delay: str
) -> None:
    """The row is updated, which no trigger sees; the worker knows only when the one before was due."""
    async with held_back(database_url) as (run, _, started):
        await run.db.execute("select postmill.send('tasks', '1', delay => '1 hour', unique_key => 'k')")
        await run.db.execute(
            f"select postmill.send('tasks', '2', delay => '{delay}', unique_key => 'k',"
            " on_conflict => 'replace')"
        )
        await until_started(run, started, 2)
