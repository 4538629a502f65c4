"""A slot's task: reused as long as a handler left nothing behind in it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from postmill.engine.attempt import Attempt
from postmill.engine.slot import Slot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.engine.attempt import Services
    from postmill.model.message import Message

color: ContextVar[str] = ContextVar("color", default="none")


def an_attempt() -> Attempt:
    return Attempt(cast("Message", None), cast("Services", None))


class Bench:
    """Runs pieces of work in one slot, and notes in which task each of them ran."""

    def __init__(self, *work: Callable[[], Awaitable[Any]]) -> None:
        self.work = list(work)
        self.tasks: list[asyncio.Task[Any] | None] = []
        self.colors: list[str] = []
        self.ended = asyncio.Event()
        self.slot = Slot(self.body)

    async def body(self, slot: Slot) -> None:
        while self.work:
            self.tasks.append(asyncio.current_task())
            self.colors.append(color.get())
            slot.attempts = (an_attempt(),)
            with suppress(asyncio.CancelledError):
                await self.work.pop(0)()
            if not slot.finished():
                return
        self.ended.set()

    async def run(self) -> Bench:
        async with asyncio.timeout(20):
            await self.ended.wait()
        return self


async def nothing() -> None:
    await asyncio.sleep(0)


async def paint() -> None:
    color.set("red")


async def cancel_oneself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def own_time_limit() -> None:
    try:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    except TimeoutError:
        pass


async def test_a_clean_slot_keeps_its_task() -> None:
    bench = await Bench(nothing, nothing, own_time_limit, nothing).run()
    assert len(set(bench.tasks)) == 1


async def test_a_context_variable_does_not_reach_the_next_message() -> None:
    bench = await Bench(paint, nothing, paint, nothing).run()
    assert bench.colors == ["none"] * 4


async def test_a_pending_cancellation_does_not_reach_the_next_message() -> None:
    bench = await Bench(cancel_oneself, nothing, nothing).run()
    assert len(set(bench.tasks)) == 2
    assert bench.tasks[1] is bench.tasks[2]


async def test_cancelling_tells_the_attempt_once_and_spares_the_next() -> None:
    waiting = asyncio.Event()

    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    bench = Bench(wait, nothing)
    await waiting.wait()
    (attempt,) = bench.slot.attempts
    bench.slot.cancel("timeout")
    bench.slot.cancel("shutdown")
    assert (bench.slot.reason, attempt.stopping.reason) == ("timeout", "timeout")
    await bench.run()
    assert bench.slot.reason is None


async def test_an_empty_slot_can_not_be_cancelled() -> None:
    bench = await Bench(nothing).run()
    bench.slot.attempts = ()
    bench.slot.cancel("shutdown")
    assert bench.slot.reason is None


async def test_waking_a_slot_that_does_not_rest_is_harmless() -> None:
    async def body(slot: Slot) -> None:
        await slot.wait_for_work()

    slot = Slot(body)
    slot.wake()  # its task has not begun
    await asyncio.sleep(0)
    slot.wake()
    slot.wake()
    await slot.task
