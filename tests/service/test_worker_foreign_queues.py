"""Queues that other pgmq clients made: worked on as they are, whatever they are called."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from postmill import Client, Dead, Retry, worker
from postmill.model.errors import InvalidQueueName
from postmill.model.events import Event
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    from postmill.handlers import Worker

ODD = "Mails & Co. (ä)"


def endings(queue: str) -> Worker:
    """A worker whose messages end as their payload says."""
    failed = set()

    @worker(queue=queue, keep_results=True, retry=Retry.fixed(0, 3), poller="poll", poll_interval_ms=20)
    async def end(ending: str) -> Any:
        if ending == "dead":
            raise Dead("as told")
        if ending == "retry" and ending not in failed:
            failed.add(ending)
            raise RuntimeError
        return ending

    return end


@pytest.mark.parametrize("queue", [ODD, "MyQueue", "-", "x.y.z", "pgmq"])
async def test_a_queue_with_an_odd_name_is_worked_on(
    database_url: str, adb: asyncpg.Connection, queue: str
) -> None:
    """Every outcome."""
    await adb.execute("select pgmq.create($1)", queue)
    async with running(database_url, endings(queue)) as run:
        with Client(database_url) as client:
            for ending in ("complete", "retry", "dead"):
                client.send(queue, ending)
        await run.until(Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD, count=3)
        await run.let_go()
        rows = await adb.fetch("select state from postmill.messages($1) order by msg_id", queue)
        assert [row["state"] for row in rows] == ["completed", "completed", "dead"]
        assert await run.count("postmill.results") == 2


async def test_a_missing_queue_with_an_odd_name_is_not_created(database_url: str) -> None:
    with pytest.raises(InvalidQueueName, match="creates"):
        async with running(database_url, endings(ODD)):
            pass


async def test_a_worker_on_a_queue_in_other_letters_is_told_the_name(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """It would claim under a second name, past the queue's pause and limits."""
    await adb.execute("select postmill.create_queue('low')")
    with pytest.raises(InvalidQueueName) as caught:
        async with running(database_url, endings("Low")):
            pass
    assert caught.value.hint == "Did you mean low?"


async def test_the_sequence_of_the_ids_may_have_any_name(database_url: str, adb: asyncpg.Connection) -> None:
    """As after a rename or a restore; the worker said each second that the queue was missing."""
    await adb.execute("select pgmq.create('tasks')")
    await adb.execute('alter sequence pgmq.q_tasks_msg_id_seq rename to "Ids of Tasks"')
    async with running(database_url, endings("tasks")) as run:
        await run.send('"complete"')
        await run.until(Event.MESSAGE_COMPLETED)
        assert run.events(Event.QUEUE_MISSING) == []


async def test_a_name_that_takes_more_than_63_bytes(database_url: str) -> None:
    """pgmq counts characters, the server cuts table and channel names by bytes."""
    name = "\u00e9" * 47

    @worker(queue=name)
    async def handle(payload: int) -> None:
        pass

    connection = await asyncpg.connect(database_url)
    await connection.execute("select pgmq.create($1)", name)
    await connection.close()
    async with running(database_url, handle) as run:
        await run.send("1", name)
        await run.until(Event.MESSAGE_COMPLETED)
        await run.db.execute("select postmill.pause($1, 'why not')", name)
        await run.until(Event.QUEUE_PAUSED)
        await run.db.execute("select postmill.send($1, '2')", name)
        await run.db.execute("select postmill.resume($1)", name)
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        told = asyncio.Queue[str]()
        channel = f"postmill.{name}".encode()[:63].decode(errors="ignore")
        await run.db.add_listener(channel, lambda *heard: told.put_nowait(heard[2]))
        for text, *more in (("testing_make_due",), ("testing_take", 3)):
            await run.db.execute("select postmill.pause($1)", name)
            await run.db.execute("select pgmq.send($1, '3'::jsonb, 3600)", name)
            while not told.empty():
                told.get_nowait()
            await run.db.execute(queue_statement(text, QueueShape(name, relation=0)), name, *more)
            async with asyncio.timeout(GIVE_UP_S):
                assert await told.get() == channel
        claim = "postmill.return_claim($1, gen_random_uuid(), array[1], array[1], now())"
        assert await run.db.fetchval(f"select {claim}", name) == []
