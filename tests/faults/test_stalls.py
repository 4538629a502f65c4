"""A network that stalls for seconds and goes on: no worker is dead for that, whatever its lease, and no
message runs twice. Half of the workers are behind the stall. The others have a good network, and would
rescue.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from postmill.model.events import Event
from postmill.scheduler.scheduler import Scheduler
from tests.faults.account import Account
from tests.faults.handlers import WaitingHandler, handler
from tests.faults.proxy import proxied
from tests.service.calling import making_calls
from tests.service.running import running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.faults.scene import Scene

WORKERS = 20
STALLS = [
    *[(10, 4), (120, 4)],
    *[pytest.param(lease_s, 9, marks=pytest.mark.slow) for lease_s in (10, 120)],
    *[
        pytest.param(lease_s, stall_s, marks=[pytest.mark.slow, pytest.mark.exhaustive])
        for lease_s in (10, 120)
        for stall_s in (1, 2, 3, 5, 6, 7, 8)
    ],
]
"""Of stalls that end before a lease the longest comes closest to the bound; 4 s were once too long."""
COUNTED_S = 15
"""Seconds in which statements are counted: the look for dead workers, the rarest of them, comes once."""
JUDGED_TOO_SOON = """
create or replace function postmill._silent_after(lease interval) returns interval
language sql immutable return interval '1 second'
"""

TAKEN_FROM_THE_LIVING = "select exists (select from postmill.failures)"


async def stalled(
    scene: Scene, *, workers: int, lease_s: float, is_over: Callable[[], Awaitable[None]]
) -> None:
    """Each worker runs a message, half of them are cut off for a while, and all finish afterwards."""
    waiting = WaitingHandler()
    held = handler(waiting, visibility_timeout=lease_s, max_pg_connections=2, max_poll_seconds=1)
    async with proxied(scene.url) as proxy, AsyncExitStack() as stack:
        runs = [
            await stack.enter_async_context(running(url, held))
            for url in [proxy.url, scene.url] * (workers // 2)
        ]
        stack.callback(waiting.released.set)
        await scene.send(workers)
        await waiting.until_waiting(workers)
        proxy.stall()
        await is_over()
        proxy.go_on()
        for _ in range(2):
            await scene.heartbeats(len(runs))
        waiting.released.set()
        await scene.until("select not exists (select from pgmq.q_tasks)")
        await scene.until("select not exists (select from postmill.claims)")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("lease_s", "stall_s"), STALLS)
async def test_a_stall_shorter_than_the_lease_runs_nothing_twice(
    scene: Scene, lease_s: float, stall_s: float
) -> None:
    """A beat came each 4.5 s and death was fixed at 6 s: stalls of 3 s made living workers dead."""
    await stalled(scene, workers=WORKERS, lease_s=lease_s, is_over=partial(asyncio.sleep, stall_s))
    assert await scene.runs() == [1] * WORKERS
    assert await scene.account() == Account(completed=WORKERS)


async def test_the_control_for_stalls_fails(scene: Scene) -> None:
    """With a bound of a second a stall does make living workers dead."""
    await scene.db.execute(JUDGED_TOO_SOON)
    await stalled(scene, workers=4, lease_s=10, is_over=partial(scene.until, TAKEN_FROM_THE_LIVING))
    assert max(await scene.runs()) > 1


async def test_a_renewal_whose_answer_was_lost_loses_no_lease(scene: Scene) -> None:
    """The server had moved vt, and the worker took its own renewal for another's: the message ran twice."""
    waiting = WaitingHandler()
    async with proxied(scene.url) as proxy, running(proxy.url, handler(waiting, visibility_timeout=2)) as run:
        await scene.send()
        await waiting.until_waiting(1)
        await scene.shut_gate("pgmq.q_tasks", event="update")
        await scene.at_the_gate()
        seen = await scene.db.fetchval("select vt::text from pgmq.q_tasks")
        proxy.mode = "silent"
        await scene.open_gate()
        await scene.until("select vt > $1::text::timestamptz from pgmq.q_tasks", seen)
        proxy.reset()
        proxy.mode = "pass"
        for _ in range(2):
            seen = await scene.db.fetchval("select vt::text from pgmq.q_tasks")
            await scene.until("select vt > $1::text::timestamptz from pgmq.q_tasks", seen)
        waiting.released.set()
        await run.until(Event.MESSAGE_COMPLETED)
        assert run.events(Event.LEASE_LOST) == []
    assert await scene.account() == Account(completed=1)
    assert await scene.runs() == [1]


async def test_a_worker_that_comes_back_has_its_lock_again(scene: Scene) -> None:
    """Its old session still holds the lock when the new one asks for it: the server knows of no end."""
    locked = "select lock_key is not null and postmill.lock_is_held(lock_key) from postmill.workers"
    sessions = (
        "select pid from pg_stat_activity"
        " where datname = current_database() and application_name = 'postmill heartbeat'"
    )
    async with proxied(scene.url) as proxy, running(proxy.url, handler(visibility_timeout=2)) as run:
        before = await scene.db.fetchval(sessions)
        proxy.stall()
        while run.engine.not_ready is None:  # noqa: ASYNC110 - its heartbeat has given the connection up
            await asyncio.sleep(0.05)
        proxy.go_on()
        await scene.until("select exists (" + sessions + " and pid <> $1)", before)
        await scene.until("select not exists (select from pg_stat_activity where pid = $1)", before)
        await scene.until(locked)
        assert await scene.db.fetchval("select count(*) from postmill.workers where stopped_at is null") == 1


@pytest.mark.slow
async def test_twenty_idle_processes_send_at_most_twenty_statements_a_second(scene: Scene) -> None:
    """They ask for news often enough to see a freed lock soon, no more often. Each claims messages, fires
    schedules and makes calls.
    """
    await scene.db.execute("select postmill.schedule('yearly', '@yearly', 'tasks')")
    count = "select xact_commit from pg_stat_database where datname = current_database()"
    async with AsyncExitStack() as stack:
        for _ in range(WORKERS):
            await stack.enter_async_context(
                running(scene.url, handler(max_pg_connections=2), services=[Scheduler])
            )
            await stack.enter_async_context(making_calls(scene.url))
        await asyncio.sleep(
            12
        )  # all that a start does is over, and counted: an idle session hands that in after 10 s
        before = await scene.db.fetchval(count)
        await asyncio.sleep(COUNTED_S)
        sent = await scene.db.fetchval(count) - before
    assert 20 < sent <= 20 * COUNTED_S + 20  # promised: 20 a second; 20 more for what falls on the edges
