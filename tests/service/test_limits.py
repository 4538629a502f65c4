"""Limits of queues and groups hold for workers at work: while they change, and whoever sends however many."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import orjson
import pytest

from postmill import Context, worker
from postmill.model.events import Event
from postmill.model.queue.retry import FixedRetry
from tests.service.running import running

if TYPE_CHECKING:
    from postmill.handlers import Worker
    from tests.service.running import Running

GROUPED = orjson.dumps({"postmill-group": "acme"}).decode()
WAYS = {
    "send_batch": (
        "select * from postmill.send_batch('tasks', array_fill('1'::jsonb, array[$1::integer]),"
        " group_keys => array_fill('acme'::text, array[$1]))"
    ),
    "send_batch with headers": (
        "select * from postmill.send_batch('tasks', array_fill('1'::jsonb, array[$1::integer]),"
        f" headers => array_fill('{GROUPED}'::jsonb, array[$1]))"
    ),
    "pgmq.send_batch": (
        "select * from pgmq.send_batch('tasks', array_fill('1'::jsonb, array[$1::integer]),"
        f" array_fill('{GROUPED}'::jsonb, array[$1]))"
    ),
    "insert": (
        f"insert into pgmq.q_tasks (vt, message, headers) select clock_timestamp(), '1', '{GROUPED}'"
        " from generate_series(1, $1::integer)"
    ),
}


class Held:
    """A handler that is held, and counts on its own how many run."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.begun = 0
        self.let = asyncio.Semaphore(0)
        self._news = asyncio.Event()

    def worker(self, **options: object) -> Worker:
        """At most 20 at once, as far as the worker is concerned."""

        @worker(queue="tasks", max_concurrent=20, max_poll_seconds=60, retry=FixedRetry(3, 0.0), **options)
        async def handle(_: object) -> None:
            self.running += 1
            self.begun += 1
            self.most = max(self.most, self.running)
            self._news.set()
            try:
                await self.let.acquire()
            finally:
                self.running -= 1

        return handle

    async def until_begun(self, count: int) -> None:
        """Wait until so many have begun."""
        async with asyncio.timeout(30):
            while self.begun < count:
                self._news.clear()
                await self._news.wait()

    def end(self, count: int) -> None:
        """Let so many end."""
        for _ in range(count):
            self.let.release()


async def all_seen(run: Running) -> None:
    """Wait until every message of the queue is parked or runs, and the worker has nothing to do."""
    await run.true_in_database("not exists (select from pgmq.q_tasks where vt <= clock_timestamp())")
    await run.idle()


@pytest.mark.parametrize("way", WAYS)
async def test_no_way_to_send_many_passes_a_limit_by(database_url: str, way: str) -> None:
    """Elsewhere a bulk send went past the limits."""
    held = Held()
    async with running(database_url, held.worker()) as run:
        await run.db.execute("select postmill.limit_groups('tasks', 3)")
        await run.db.execute("select postmill.limit_queue('tasks', 5)")
        await run.db.fetch(WAYS[way], 40)
        await held.until_begun(3)
        await all_seen(run)
        assert held.running == 3
        held.end(40)
        await run.until(Event.MESSAGE_COMPLETED, count=40)
    assert held.most == 3


async def test_a_limit_that_is_raised_or_removed_starts_more_at_once(database_url: str) -> None:
    held = Held()
    async with running(database_url, held.worker()) as run:
        await run.db.execute("select postmill.limit_groups('tasks', 1)")
        await run.db.fetch(WAYS["send_batch"], 10)
        await held.until_begun(1)
        await run.db.execute("select postmill.limit_groups('tasks', 4)")
        await held.until_begun(4)
        await run.db.execute("select postmill.limit_groups('tasks', 6, group_key => 'acme')")
        await held.until_begun(6)
        assert held.most == 6
        await run.db.execute("select postmill.limit_groups('tasks', group_key => 'acme')")
        await run.db.execute("select postmill.limit_groups('tasks')")
        await held.until_begun(10)
        held.end(10)
        await run.until(Event.MESSAGE_COMPLETED, count=10)


async def test_a_limit_that_is_lowered_interrupts_nothing_and_starts_nothing(database_url: str) -> None:
    held = Held()
    async with running(database_url, held.worker()) as run:
        await run.db.execute("select postmill.limit_groups('tasks', 5)")
        await run.db.fetch(WAYS["send_batch"], 10)
        await held.until_begun(5)
        await run.db.execute("select postmill.limit_groups('tasks', 2)")
        held.end(3)
        await run.until(Event.MESSAGE_COMPLETED, count=3)
        await run.idle()
        assert (held.begun, held.running) == (5, 2)
        held.end(1)
        await held.until_begun(6)
        assert held.running <= 2
        held.end(6)
        await run.until(Event.MESSAGE_COMPLETED, count=10)


async def test_what_runs_when_a_queue_becomes_limited_counts(database_url: str) -> None:
    """Messages that were claimed before had no place, and as many again were started beside them."""
    held = Held()
    async with running(database_url, held.worker()) as run:
        for _ in range(3):
            await run.send("1")
        await held.until_begun(3)
        await run.db.execute("select postmill.limit_queue('tasks', 4)")
        await run.idle()
        for _ in range(10):
            await run.send("1")
        await held.until_begun(4)
        await all_seen(run)
        assert held.running == 4
        held.end(13)
        await run.until(Event.MESSAGE_COMPLETED, count=13)
    assert held.most == 4


async def test_what_waits_when_the_limit_is_removed_runs(database_url: str) -> None:
    held = Held()
    async with running(database_url, held.worker()) as run:
        await run.db.execute("select postmill.limit_queue('tasks', 1)")
        for _ in range(6):
            await run.send("1")
        await held.until_begun(1)
        await all_seen(run)
        assert held.running == 1
        await run.db.execute("select postmill.limit_queue('tasks')")
        await held.until_begun(6)
        held.end(6)
        await run.until(Event.MESSAGE_COMPLETED, count=6)
        await run.send("1")
        await held.until_begun(7)
        held.end(1)
        await run.until(Event.MESSAGE_COMPLETED, count=7)
        assert await run.count("postmill.gates") == 0


async def test_one_that_is_due_tomorrow_keeps_none_waiting_that_is_ready(database_url: str) -> None:
    """Elsewhere the lock of a scheduled job kept the ready ones of its group from running."""
    held = Held()
    async with running(database_url, held.worker()) as run:
        await run.db.execute("select postmill.limit_groups('tasks', 1)")
        await run.db.execute("select postmill.send('tasks', '1', delay => '1 day', group_key => 'acme')")
        await run.db.fetch(WAYS["send_batch"], 2)
        held.end(2)
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        assert await run.count("postmill.gates where claim_id is null") == 1


RATE, PERIODS = 5, 4


@pytest.mark.parametrize("function", ["limit_groups", "limit_queue"])
async def test_a_rate_holds_and_the_worker_comes_when_the_next_start_is_allowed(
    database_url: str, function: str
) -> None:
    """The poll is a minute away: what starts the next ones is what the last claim has told of the rate."""
    starts: Counter[float] = Counter()

    @worker(queue="tasks", max_concurrent=20, max_poll_seconds=60)
    async def handle(_: object, ctx: Context) -> None:
        async with ctx.db as connection:
            starts[await connection.fetchval("select extract(epoch from clock_timestamp())::float8")] += 1

    async with running(database_url, handle) as run:
        await run.db.execute(f"select postmill.{function}('tasks', starts => {RATE}, per => '0.5 s')")
        await run.db.fetch(WAYS["send_batch"], RATE * PERIODS)
        await run.until(Event.MESSAGE_COMPLETED, count=RATE * PERIODS)
    moments = sorted(starts.elements())
    assert moments[-1] - moments[0] >= 0.5 * (PERIODS - 1) - 0.1


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1, 2, 10, 100])
async def test_workers_use_nearly_all_of_a_rate(database_url: str, rate: int) -> None:
    """Elsewhere a limit halved the throughput: 0.95 of it are used, by several workers."""
    periods = 8

    def handler() -> Worker:
        @worker(queue="tasks", max_concurrent=20, max_poll_seconds=60)
        async def handle(_: object) -> None: ...

        return handle

    async with running(database_url, handler(), handler(), handler()) as run:
        await run.db.execute(f"select postmill.limit_queue('tasks', starts => {rate}, per => '1 s')")
        began = asyncio.get_running_loop().time()
        await run.db.fetch(WAYS["send_batch"], rate * periods)
        await run.until(Event.MESSAGE_COMPLETED, count=rate * periods)
        took_s = asyncio.get_running_loop().time() - began
    assert periods - 1 - 0.1 <= took_s <= (periods - 1) / 0.95 + 0.3


async def test_what_is_parked_on_sight_starts_at_once(database_url: str) -> None:
    """The worker that had parked it learned of it with its next poll, and that may be a minute away."""
    held = Held()
    async with running(database_url, held.worker()) as run:
        await run.idle()
        await run.db.fetch(WAYS["pgmq.send_batch"], 1)
        await held.until_begun(1)
        held.end(1)
        await run.until(Event.MESSAGE_COMPLETED)
