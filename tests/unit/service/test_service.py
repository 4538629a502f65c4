"""The one shape of a background service: started, stopped, cancelled and broken in any order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from postmill.model.events import Event
from postmill.service.events import Events
from postmill.service.service import MAX_FRUITLESS, Service

if TYPE_CHECKING:
    from collections.abc import Callable


class Counting(Service):
    """Counts its batches, and raises what it is told to, in the batch or in the rest."""

    def __init__(self, events: Events | None = None) -> None:
        super().__init__(events)
        self.batches = 0
        self.recovered = 0
        self.breaks: list[BaseException | None] = []
        self.resting = asyncio.Event()
        self.breaks_rest: BaseException | None = None
        self._woken = asyncio.Event()
        self.news = asyncio.Event()

    async def run_once(self) -> bool:
        self._woken.clear()
        await asyncio.sleep(0)
        if self.breaks and (error := self.breaks.pop(0)) is not None:
            raise error
        self.batches += 1
        self.news.set()
        return False

    async def rest(self) -> None:
        self.resting.set()
        await self._woken.wait()
        self.resting.clear()
        if self.breaks_rest is not None:
            error, self.breaks_rest = self.breaks_rest, None
            raise error

    def wake(self) -> None:
        self._woken.set()

    def recover(self) -> None:
        self.recovered += 1

    async def worked(self, batches: int) -> None:
        async with asyncio.timeout(20):
            while self.batches < batches:
                self.news.clear()
                await self.news.wait()

    async def at_rest(self) -> None:
        async with asyncio.timeout(20):
            await self.resting.wait()


def heard(service_of: Callable[[Events], Service]) -> tuple[Any, list[dict[str, Any]]]:
    events = Events()
    said: list[dict[str, Any]] = []

    def listen(event: Event, fields: dict[str, Any]) -> None:
        if event == Event.SERVICE_FAILED:
            said.append(fields)

    events.listeners.append(listen)
    return service_of(events), said


BREAKS = [ValueError("x"), GeneratorExit(), asyncio.CancelledError(), BaseException("y")]


@pytest.mark.parametrize("error", BREAKS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["batch", "rest"])
async def test_a_service_that_ends_unexpectedly_is_started_again(error: BaseException, where: str) -> None:
    service, said = heard(Counting)
    if where == "batch":
        service.breaks = [error]
    else:
        service.breaks_rest = error
    service.start()
    await service.at_rest()
    if where == "rest":
        service.wake()
        await service.worked(2)
    assert service.recovered == 1
    assert len(said) == 1
    assert said[0]["service"] == "counting"
    assert service.trouble is None  # it has completed a batch since
    await service.stop()


async def test_everybody_s_tasks_are_cancelled() -> None:
    """A handler cleans up with ``all_tasks()``: the service is back in the same moment."""
    service, said = heard(Counting)
    service.start()
    await service.at_rest()
    for round_ in range(1, 4):
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        service.resting.clear()
        await service.at_rest()
        assert service.recovered == len(said) == round_
    assert not service.gave_up
    await service.stop()


async def test_cancelled_again_and_again_it_is_never_given_up() -> None:
    """A handler cancels every task of the process in a loop: the service gets no batch done meanwhile."""
    service, said = heard(Counting)
    service.pauses.base_s = service.pauses.max_s = 0.0
    service.start()
    while len(said) <= 2 * MAX_FRUITLESS:
        service.cut()
        await asyncio.sleep(0)
        assert not service.gave_up
    await service.worked(1)
    await service.stop()


async def test_readiness_knows_until_it_has_worked_again() -> None:
    service, _ = heard(Counting)
    troubles: list[str | None] = []
    service.on_failure.append(lambda _: troubles.append(service.trouble))
    service.breaks = [ValueError("no disk")]
    service.start()
    await service.at_rest()
    assert troubles == ["the counting has failed and is being started again: ValueError: no disk"]
    assert service.trouble is None
    await service.stop()


async def test_what_fails_again_and_again_is_given_up_once() -> None:
    service, said = heard(Counting)
    service.pauses.base_s = service.pauses.max_s = 0.0
    given_up: asyncio.Future[Service] = asyncio.get_running_loop().create_future()
    service.on_giving_up.append(given_up.set_result)
    service.breaks = [ValueError("x")] * 100
    service.start()
    async with asyncio.timeout(20):
        await given_up
    assert len(said) == MAX_FRUITLESS + 1
    assert "for good" in said[-1]["reason"]
    assert "for good" in str(service.trouble)
    assert service.batches == 0
    await service.stop()


async def test_a_service_that_gets_on_is_never_given_up() -> None:
    """Something cancels it again and again, and it does its work in between."""
    service, _ = heard(Counting)
    service.pauses.base_s = service.pauses.max_s = 0.0
    service.breaks = [None, ValueError("x")] * (3 * MAX_FRUITLESS)
    service.start()
    for batches in range(1, 3 * MAX_FRUITLESS):
        await service.worked(batches)
        service.wake()
    assert not service.gave_up
    await service.stop()


async def test_a_recovery_that_raises_does_not_keep_it_down() -> None:
    class Hopeless(Counting):
        def recover(self) -> None:
            raise RuntimeError("can't count")

    service, said = heard(Hopeless)
    service.breaks = [ValueError("x")]
    service.start()
    await service.at_rest()
    assert ["can't count" in fields["reason"] for fields in said] == [True, False]
    await service.stop()


async def test_start_and_stop_in_any_order_and_twice() -> None:
    service = Counting()
    await service.stop()
    service.start()
    await service.stop()
    assert service.batches == 0
    service = Counting()
    service.start()
    service.start()
    await service.at_rest()
    await asyncio.gather(service.stop(), service.stop())
    await service.stop()
    assert service.batches == 1
    assert service.failure is None


async def test_stopped_in_the_pause_before_it_is_started_again() -> None:
    """The stop comes between the end and the new beginning: nothing begins any more."""
    service, _ = heard(Counting)
    service.pauses.failures = 5
    failed = asyncio.Event()
    service.on_failure.append(lambda _: failed.set())
    service.breaks = [ValueError("x")]
    service.start()
    await failed.wait()
    await service.stop()
    assert service.batches == 0
    assert "postmill counting" not in [task.get_name() for task in asyncio.all_tasks()]


async def test_a_stop_that_is_cut_short_cuts_the_batch() -> None:
    class Stuck(Counting):
        async def run_once(self) -> bool:
            self.resting.set()
            await asyncio.Event().wait()
            return False

    service, said = heard(Stuck)
    service.start()
    await service.at_rest()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await service.stop()
    await service.stop()
    assert service.recovered == 1
    assert said == []
