"""What ends the rest of an idle worker whose own polls come too late: each message here starts because the
worker was woken, or knew when the message falls due.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from postmill import worker
from postmill.model.events import Event
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
