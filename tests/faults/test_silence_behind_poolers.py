"""Stalls and vanished machines, direct and behind PgBouncer: a stall hands out nothing twice, and what a
vanished machine held is back soon after the bound of silence.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from postmill.model.queue import silence
from tests.faults.account import Account
from tests.faults.handlers import WaitingHandler, handler
from tests.faults.pooler import pooler
from tests.faults.processes import worker_process
from tests.faults.proxy import Proxy, proxied
from tests.faults.test_stalls import JUDGED_TOO_SOON, TAKEN_FROM_THE_LIVING
from tests.service.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.faults.scene import Scene

WORKERS = 6
LATE_S = 2.0
"""What a vanished machine held is back so long after the bound of silence at the latest."""
NOISE_S = 2.0
"""For a busy machine that runs these tests."""
STALLS = [
    (10, 5),
    *[pytest.param(lease_s, 9, marks=pytest.mark.slow) for lease_s in (10, 120)],
    *[
        pytest.param(lease_s, stall_s, marks=[pytest.mark.slow, pytest.mark.exhaustive])
        for lease_s in (10, 120)
        for stall_s in (1, 2, 3, 4, 5, 6, 7, 8)
        if (lease_s, stall_s) != (10, 5)
    ],
]
"""The longest comes closest to the bound of silence."""


@asynccontextmanager
async def ways(scene: Scene, *, pooled: bool) -> AsyncIterator[tuple[Proxy, str]]:
    """A network that can fail, and the address of those with a good one: both by PgBouncer, or neither."""
    async with AsyncExitStack() as stack:
        good = stack.enter_context(pooler(scene.url, pool=10)).url if pooled else scene.url
        yield await stack.enter_async_context(proxied(good)), good


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("lease_s", "stall_s"), STALLS)
async def test_a_stall_behind_a_pooler_runs_nothing_twice(
    scene: Scene, lease_s: float, stall_s: float
) -> None:
    """No lock shows there that a worker lives, so silence alone judges it."""
    await stalled(scene, lease_s, partial(asyncio.sleep, stall_s))
    assert await scene.runs() == [1] * WORKERS
    assert await scene.account() == Account(completed=WORKERS)


async def test_the_control_for_stalls_behind_a_pooler_fails(scene: Scene) -> None:
    """With a bound of a second a stall does make living workers dead."""
    await scene.db.execute(JUDGED_TOO_SOON)
    await stalled(scene, 10, partial(scene.until, TAKEN_FROM_THE_LIVING))
    assert max(await scene.runs()) > 1


async def stalled(scene: Scene, lease_s: float, is_over: Callable[[], Awaitable[None]]) -> None:
    """Each worker runs a message; half of them are cut off for a while."""
    waiting = WaitingHandler()
    held = handler(waiting, visibility_timeout=lease_s, max_pg_connections=2, max_poll_seconds=1)
    async with ways(scene, pooled=True) as (proxy, good), AsyncExitStack() as stack:
        for url in [proxy.url, good] * (WORKERS // 2):
            await stack.enter_async_context(running(url, held))
        stack.callback(waiting.released.set)
        await scene.send(WORKERS)
        await waiting.until_waiting(WORKERS)
        proxy.stall()
        await is_over()
        proxy.go_on()
        for _ in range(2):
            await scene.heartbeats(WORKERS)
        waiting.released.set()
        await scene.until("select not exists (select from postmill.claims)")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("lease_s", [2, pytest.param(15, marks=pytest.mark.slow)])
@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
async def test_what_a_vanished_machine_held_is_back(scene: Scene, lease_s: float, pooled: bool) -> None:
    """Nothing says that it is gone: its sessions stay open, and with them its lock where there is one."""
    waiting = WaitingHandler()
    held = handler(waiting, visibility_timeout=lease_s, max_poll_seconds=1, max_concurrent=3)
    async with ways(scene, pooled=pooled) as (proxy, good), running(proxy.url, held):
        await scene.send(3)
        await waiting.until_waiting(3)
        async with running(good, held):
            await scene.heartbeats(2)
            vanished = await scene.db.fetchval("select clock_timestamp()")
            proxy.vanish()
            await scene.until("select count(*) = 3 from postmill.failures")
            late = await scene.db.fetchval(
                "select extract(epoch from max(failed_at) - $1)::float8 from postmill.failures", vanished
            )
            waiting.released.set()
            await scene.until("select count(*) = 3 from pgmq.a_tasks")
            proxy.mode = "pass"
            proxy.reset()
    assert late <= silence.judged_s(lease_s) + LATE_S + NOISE_S
    account = await scene.account()
    assert (account.completed, account.claims) == (3, 0)
    assert account.failures == {"crash" if pooled else "lost_lease": 3}
    assert await scene.runs() == [2, 2, 2]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("stop_s", "runs"), [(8, 1), (15, 2)])
async def test_a_stopped_process(scene: Scene, stop_s: float, runs: int) -> None:
    """SIGSTOP for less than the bound is nothing. For longer, another worker has its message; the stopped one
    settles nothing when it goes on, and takes part again.
    """
    waiting = WaitingHandler()
    await scene.send(1, hang=True)
    with worker_process(scene.url, visibility_timeout=10) as stopped:
        await scene.until("select count(*) = 1 from runs")
        async with running(scene.url, handler(waiting, visibility_timeout=10, max_poll_seconds=1)):
            await scene.heartbeats(2)
            stopped.stop()
            await asyncio.sleep(stop_s)  # the fault itself
            stopped.go_on()
            await scene.heartbeats(2)
            if runs == 2:
                await waiting.until_waiting(1)
            assert await scene.runs() == [runs]
            waiting.released.set()
            if runs == 2:
                await scene.until("select count(*) = 1 from pgmq.a_tasks")
    assert (await scene.account()).lost == 0
