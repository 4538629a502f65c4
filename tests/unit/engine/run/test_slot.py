"""A slot's task runs another message only when the handler before it left nothing behind."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
import weakref
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from postmill.engine.run.dispatcher import TURN, Dispatcher
from postmill.engine.run.executor import Executor
from postmill.engine.settle.settlement import Settlings
from postmill.engine.settle.statements import OWN
from postmill.handlers import Worker
from postmill.model.queue.message import Claim, Message
from postmill.model.queue.outcome import COMPLETED, RELEASED, Failed, Outcome
from postmill.model.queue.retry import Dead
from postmill.model.queue.worker_options import WorkerOptions
from postmill.service.events import Events
from postmill.service.forks import CHILD_EXIT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.engine.run.attempt_services import AttemptServices
    from postmill.engine.settle.settler import Settler

color: ContextVar[str] = ContextVar("color", default="none")


class Outcomes:
    """Takes the settler's place."""

    pending = 0

    def __init__(self, wanted: int) -> None:
        self.of: dict[int, Outcome] = {}
        self.wanted = wanted
        self.all = asyncio.Event()

    def add(self, message: Message, outcome: Outcome) -> None:
        assert message.msg_id not in self.of
        self.of[message.msg_id] = outcome
        if len(self.of) == self.wanted:
            self.all.set()


class _Services:
    def __init__(self) -> None:
        self.events = Events()


class Bench:
    """Runs pieces of work as messages, one at a time, and keeps their outcomes."""

    def __init__(self, *work: Callable[[], Awaitable[Any]], at_once: int = 1) -> None:
        self.outcomes = Outcomes(len(work))
        options = WorkerOptions(queue="tasks", max_concurrent=at_once)

        async def handle(number: int) -> Any:
            return await work[number]()

        executor = Executor(Worker(options, handle), cast("AttemptServices", _Services()), Settlings(OWN))
        self.dispatcher = Dispatcher(options, executor, cast("Settler", self.outcomes))
        claim = Claim(1, datetime.now(UTC), time.monotonic())
        self.messages = [
            Message("tasks", number, 1, 0, 0, str(number), None, 0, 0, claim) for number in range(len(work))
        ]

    async def run(self) -> list[Outcome]:
        """The outcomes, by message."""
        self.dispatcher.feed(self.messages)
        async with asyncio.timeout(20):
            await self.outcomes.all.wait()
            await self.dispatcher.quiet.wait()
        assert self.dispatcher.running == 0
        return [self.outcomes.of[number] for number in sorted(self.outcomes.of)]


class Names:
    """Tells tasks apart without holding them."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def note(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.seen.append(task.get_name())


async def test_handlers_that_never_wait_share_a_task() -> None:
    names = Names()
    assert await Bench(*[names.note] * 10).run() == [COMPLETED] * 10
    assert len(set(names.seen)) == 1


async def test_a_task_does_not_go_on_for_ever() -> None:
    names = Names()
    await Bench(*[names.note] * (3 * TURN)).run()
    assert 3 <= len(set(names.seen)) <= 4


def exit_code_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork_by_library() -> int:
    """As C code forks: Python is not told of it."""
    child: int = ctypes.PyDLL(None).fork()
    return child


@pytest.mark.parametrize("forked", [os.fork, fork_by_library])
async def test_a_forked_child_runs_none_of_the_messages_that_wait(forked: Callable[[], int]) -> None:
    """It would run them in its parent's name, beside its parent. It ends as soon as its own handler has."""
    parent, exits = os.getpid(), []

    async def fork() -> None:
        if child := forked():
            exits.append(exit_code_of(child))

    async def notice() -> None:
        if os.getpid() != parent:
            os._exit(77)

    assert await Bench(fork, notice).run() == [COMPLETED, COMPLETED]
    assert exits == [CHILD_EXIT]


async def test_a_late_cancellation_does_not_reach_the_next_message() -> None:
    """A handler keeps its task, and something cancels it when the next message runs."""
    kept: list[asyncio.Task[Any]] = []

    async def keep() -> None:
        task = asyncio.current_task()
        assert task is not None
        kept.append(task)

    async def cancel_kept() -> None:
        kept[0].cancel()
        await asyncio.sleep(0)

    assert await Bench(keep, cancel_kept, cancel_kept).run() == [COMPLETED] * 3


async def test_a_weakly_held_task_is_not_shared_either() -> None:
    """A registry of tasks that holds them weakly cancels whatever is in it."""
    kept: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    async def keep() -> None:
        task = asyncio.current_task()
        assert task is not None
        kept.add(task)

    async def cancel_all() -> None:
        for task in kept:
            task.cancel()
        await asyncio.sleep(0)

    assert await Bench(keep, cancel_all).run() == [COMPLETED] * 2


async def test_a_callback_on_its_task_is_called_at_the_end_of_its_message() -> None:
    order: list[str] = []

    async def leave_callback() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: order.append("ended"))

    async def next_one() -> None:
        order.append("next")

    await Bench(leave_callback, next_one).run()
    assert order == ["ended", "next"]


async def test_a_timer_of_a_finished_handler_hits_nothing() -> None:
    async def arm() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)

    async def wait() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    assert await Bench(arm, wait, arm, wait).run() == [COMPLETED] * 4


async def test_a_context_variable_does_not_reach_the_next_message() -> None:
    colors: list[str] = []

    async def paint() -> None:
        colors.append(color.get())
        color.set("red")

    await Bench(paint, paint, paint).run()
    assert colors == ["none"] * 3


async def test_a_cancellation_of_oneself_does_not_reach_the_next_message() -> None:
    async def cancel_oneself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async def wait() -> None:
        await asyncio.sleep(0)

    assert await Bench(cancel_oneself, wait, cancel_oneself, wait).run() == [COMPLETED] * 4


@pytest.mark.parametrize("error", [GeneratorExit, SystemExit, asyncio.CancelledError, RecursionError])
async def test_whatever_comes_out_of_a_future_is_an_outcome(error: type[BaseException]) -> None:
    """A GeneratorExit out of an awaited future closes every coroutine on its way to the slot's task."""

    async def wait_for_it() -> None:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(error())
        await future

    async def well() -> None:
        await asyncio.sleep(0)

    first, second = await Bench(wait_for_it, well).run()
    assert isinstance(first, Failed)
    assert first.error_type == error.__name__
    assert second == COMPLETED


async def test_a_message_whose_outcome_breaks_our_own_code_gets_one_all_the_same() -> None:
    """An outcome of the user's own class raises when the engine reads it."""

    class Hostile(Dead):
        def __init__(self) -> None:
            pass

        @property
        def reason(self) -> str:  # type: ignore[override]
            raise RuntimeError("not here")

    async def raise_it() -> None:
        raise Hostile

    async def well() -> None:
        pass

    first, second = await Bench(raise_it, well).run()
    assert isinstance(first, Failed)
    assert second == COMPLETED


async def test_a_task_that_is_cancelled_before_it_begins_gives_its_message_back() -> None:
    """Other code cancels every task of the process: what had not begun is no failed attempt."""
    began: list[int] = []

    async def note() -> None:
        began.append(1)

    bench = Bench(note, note)
    before = asyncio.all_tasks()
    bench.dispatcher.feed(bench.messages[:1])
    for task in asyncio.all_tasks() - before:
        task.cancel()
    bench.dispatcher.feed(bench.messages[1:])
    async with asyncio.timeout(20):
        await bench.outcomes.all.wait()
    assert bench.outcomes.of == {0: RELEASED, 1: COMPLETED}
    assert began == [1]


async def test_cancelling_tells_the_attempt_once_and_spares_the_next() -> None:
    waiting = asyncio.Event()

    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    async def well() -> None:
        await asyncio.sleep(0)

    bench = Bench(wait, well)
    running = asyncio.create_task(bench.run())
    await waiting.wait()
    slot = bench.dispatcher.slot_of(bench.messages[0])
    assert slot is not None
    (attempt,) = slot.attempts
    slot.cancel("timeout")
    slot.cancel("shutdown")
    assert (slot.reason, attempt.stopping.reason) == ("timeout", "timeout")
    first, second = await running
    assert isinstance(first, Failed)
    assert (first.kind, second) == ("timeout", COMPLETED)


async def test_what_is_told_to_stop_before_it_begins_hears_of_it() -> None:
    """A stop that comes between the claim and the handler's first step."""
    reasons: list[object] = []
    bench: Bench

    async def ask() -> None:
        slot = bench.dispatcher.slot_of(bench.messages[0])
        assert slot is not None
        reasons.append(slot.attempts[0].stopping.reason)

    bench = Bench(ask)
    bench.dispatcher.feed(bench.messages)
    bench.dispatcher.tell_all("shutdown")
    await bench.outcomes.all.wait()
    assert reasons == ["shutdown"]
