"""The heartbeat's thread meets what it should never meet: it begins anew, says so, and readiness knows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from postmill.engine.maintain.heartbeat import Heartbeat
from postmill.engine.maintain.maintenance import Maintenance
from postmill.engine.maintain.renewer import Renewer
from postmill.engine.maintain.rescuer import Rescuer
from postmill.model.events import Event
from tests.faults.account import Account
from tests.faults.handlers import WaitingHandler, handler
from tests.faults.proxy import proxied
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    from tests.faults.scene import Scene

ODD = (RuntimeError, GeneratorExit, asyncio.CancelledError, SystemExit, KeyboardInterrupt, MemoryError)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.__name__)
@pytest.mark.parametrize(
    ("owner", "method"), [(Heartbeat, "run_once"), (Renewer, "run_once"), (Maintenance, "run_once")]
)
async def test_a_heartbeat_that_is_broken_begins_anew(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, owner: type, method: str, odd: type[BaseException]
) -> None:
    """It ended without a word: nothing was renewed any more, and /ready said 200."""
    waiting = WaitingHandler()
    original, broken = getattr(owner, method), asyncio.Event()

    async def breaks_once(self: object, *args: object) -> object:
        if not broken.is_set():
            broken.set()
            raise odd
        return await original(self, *args)

    async with running(scene.url, handler(waiting, visibility_timeout=2)) as run:
        await scene.send()
        await waiting.until_waiting(1)
        monkeypatch.setattr(owner, method, breaks_once)
        await run.until(Event.SERVICE_FAILED)
        await run.renewals(1, 2)
        async with asyncio.timeout(GIVE_UP_S):
            while run.engine.not_ready is not None:  # noqa: ASYNC110 - good news is not said
                await asyncio.sleep(0.05)
        waiting.released.set()
        await run.until(Event.MESSAGE_COMPLETED)
    assert await scene.account() == Account(completed=1)
    assert await scene.runs() == [1]


async def test_a_handler_is_stopped_before_its_message_can_run_elsewhere(scene: Scene) -> None:
    """``on_silence="stop"``: by the worker's own clock, while nothing can be asked."""
    waiting = WaitingHandler()
    async with proxied(scene.url) as proxy:
        options = {"visibility_timeout": 2, "on_silence": "stop"}
        async with running(proxy.url, handler(waiting, **options)) as run:
            await scene.send()
            await waiting.until_waiting(1)
            proxy.stall()
            (lost,) = await run.until(Event.LEASE_LOST)
            assert "on_silence" in lost["reason"]
            assert await scene.db.fetchval("select vt > clock_timestamp() from pgmq.q_tasks")
            assert await scene.db.fetchval("select count(*) from postmill.workers where stopped_at is null")
            waiting.released.set()
            proxy.go_on()
            await run.until(Event.MESSAGE_COMPLETED)
    assert (await scene.account()).completed == 1
    assert await scene.runs() == [2]


@pytest.mark.parametrize(
    ("owner", "method"), [(Heartbeat, "run_once"), (Renewer, "run_once"), (Maintenance, "_main")]
)
async def test_a_heartbeat_that_never_works_again_ends_its_owner(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, owner: type, method: str
) -> None:
    """It began anew for ever, and the process stayed, without leases and without an end."""

    async def broken(self: object, *args: object) -> object:
        raise RuntimeError("a bug")

    async with running(scene.url, handler()) as run:
        monkeypatch.setattr(owner, method, broken)
        if method == "_main":
            monkeypatch.setattr(Maintenance, "run_once", broken)
        async with asyncio.timeout(GIVE_UP_S):
            await run.engine.wait_over()
        assert "heartbeat has failed for good" in str(run.engine.failure)


async def test_leases_are_renewed_until_the_end_though_another_duty_has_failed_for_good(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What shares the thread with the renewals breaks each time: the process ends, and until then keeps what
    its handlers work on.
    """
    waiting = WaitingHandler()

    async def broken(self: object) -> bool:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Rescuer, "run_once", broken)
    async with running(scene.url, handler(waiting, visibility_timeout=2)) as run:
        await scene.send()
        await waiting.until_waiting(1)
        async with asyncio.timeout(GIVE_UP_S):
            await run.engine.wait_over()
        assert "the rescuer has failed for good" in str(run.engine.failure)
        await run.renewals(1, 2)
        waiting.released.set()
        await run.until(Event.MESSAGE_COMPLETED)
    assert await scene.account() == Account(completed=1)
    assert await scene.runs() == [1]
