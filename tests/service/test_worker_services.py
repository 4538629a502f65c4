"""What belongs to the process and to no single worker: services that an engine is given, and events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from postmill import worker
from postmill.engine import engine as engines
from postmill.engine.engine import Engine
from postmill.engine.worker_process import Runner
from postmill.model.config.address import Address
from postmill.model.events import Event
from postmill.service.service import MAX_FRUITLESS, Service
from tests.faults.proxy import proxied
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    import pytest

    from postmill.service.events import Events


class Beside(Service):
    """Works beside the workers, and does what it is told to."""

    def __init__(self, events: Events | None = None) -> None:
        super().__init__(events)
        self.batches = 0
        self.began = asyncio.Event()
        self.hangs = False
        self.breaks = False
        self._woken = asyncio.Event()

    async def run_once(self) -> bool:
        self._woken.clear()
        self.began.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.breaks:
            raise RuntimeError("a bug")
        self.batches += 1
        return False

    async def rest(self) -> None:
        await self._woken.wait()

    def wake(self) -> None:
        self._woken.set()

    @property
    def task(self) -> asyncio.Task[None] | None:
        return self._task

    def broken(self) -> None:
        """Fail from now on, without pauses in between."""
        self.pauses.base_s = self.pauses.max_s = 0.0
        self.breaks = True
        self.wake()


@worker(queue="tasks")
async def handle(_: int) -> None: ...


async def test_a_given_service_begins_after_the_workers_and_ends_with_them(database_url: str) -> None:
    beside = Beside()
    engine = Engine([handle], Address(database_url), [lambda *_: beside])
    engine.on_worker.append(lambda _: order.append(beside.batches))
    order: list[int] = []
    try:
        await engine.start()
        async with asyncio.timeout(GIVE_UP_S):
            await beside.began.wait()
        assert order == [0]
        assert beside in engine.services
        assert engine.not_ready is None
    finally:
        await engine.stop()
    assert beside.task is not None
    assert beside.task.done()
    beside.start()
    assert beside.task.done()


async def test_readiness_sees_a_given_service_that_has_failed(database_url: str) -> None:
    """It fails nine times in a row: the process is over, as with a service of the engine's own."""
    beside = Beside()
    engine = Engine([handle], Address(database_url), [lambda *_: beside])
    troubles: list[str | None] = []
    all_told = asyncio.Event()

    def note(_error: BaseException) -> None:
        troubles.append(engine.not_ready)
        if len(troubles) > MAX_FRUITLESS:
            all_told.set()

    beside.on_failure.append(note)
    try:
        await engine.start()
        async with asyncio.timeout(GIVE_UP_S):
            await beside.began.wait()
            beside.broken()
            await engine.wait_over()
            await all_told.wait()
    finally:
        await engine.stop()
    assert troubles[0] == "the beside has failed and is being started again: RuntimeError: a bug"
    assert "for good" in str(troubles[-1])
    assert "beside has failed for good" in str(engine.failure)


async def test_a_given_service_that_hangs_holds_up_no_stop(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "GIVEN_STOP_S", 0.05)
    beside = Beside()
    beside.hangs = True
    engine = Engine([handle], Address(database_url), [lambda *_: beside])
    await engine.start()
    async with asyncio.timeout(GIVE_UP_S):
        await beside.began.wait()
        await engine.stop()
    assert beside.task is not None
    assert beside.task.cancelled()


async def test_an_engine_that_never_started_ends_with_its_given_services(database_url: str) -> None:
    beside = Beside()
    engine = Engine([handle], Address(database_url), [lambda *_: beside])
    await engine.stop()
    await engine.start()
    assert (beside.batches, beside.task) == (0, None)


async def test_a_process_of_workers_runs_the_services_that_it_is_given(database_url: str) -> None:
    beside = Beside()
    runner = Runner([handle], Address(database_url), services=[lambda *_: beside])
    running_process = asyncio.create_task(runner.run())
    async with asyncio.timeout(GIVE_UP_S):
        await beside.began.wait()
        runner.stop()
        await running_process
    assert beside.batches == 1
    assert beside.task is not None
    assert beside.task.done()


async def test_an_outage_is_the_process_s_and_said_once(database_url: str) -> None:
    """Each of two workers said it, and the heartbeat in the name of the first one."""

    @worker(queue="others")
    async def other(_: int) -> None: ...

    async with (
        proxied(database_url) as proxy,
        running(database_url, handle, other, address=Address(proxy.url)) as run,
    ):
        of_process: list[Event] = []
        run.engine.events.listeners.append(lambda event, _: of_process.append(event))
        proxy.mode = "refuse"
        proxy.reset()
        await run.until(Event.DATABASE_LOST)
        proxy.mode = "pass"
        await run.until(Event.DATABASE_BACK)
        for queue in ("tasks", "others"):
            await run.db.execute("select pgmq.send($1, '1')", queue)
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        told = (Event.DATABASE_LOST, Event.DATABASE_BACK)
        assert [event for event, _ in run.said if event in told] == list(told)
        assert [event for event in of_process if event in told] == list(told)
