"""The one shape of a background service: ``start`` -> loop of ``run_once`` -> ``stop``.

A service is supervised. Its task may end unexpectedly: by an error, by a ``GeneratorExit`` out of a future,
or because other code in the process cancelled every task. The end is reported, the service accounts for what
it held (:meth:`Service.recover`), and a new task goes on after a pause. The supervision is a callback and no
task, so nothing can cancel it.
"""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from postmill.model.error_text import summary_of
from postmill.model.events import Event
from postmill.service.backoff import Backoff
from postmill.service.events import Events

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

_T = TypeVar("_T")

MAX_FRUITLESS = 8
"""Ends in a row without a batch between them, after which a service has failed for good. Their pauses add up
to about five seconds: what does not mend itself in that time needs a new process.
"""
CUT_S = 1.0
"""How long a batch that was cut may take to end. It has nothing to wait for: this is for a busy machine."""
LONGEST_PAUSE_S = 0.8
"""The longest pause before a service begins again, in seconds: that of :class:`Backoff`, so that a service is
back within a second of the end of an outage.
"""
CALM_S = 10.0
"""After a service has run for so long, its next pause is a short one again: five times the longest pause."""


class Service(ABC):
    """A task that calls :meth:`run_once` for ever. ``run_once`` does one bounded batch and says whether more
    is waiting. ``start`` and ``stop`` may be called in any order, and again.
    """

    def __init__(self, events: Events | None = None) -> None:
        """``events``: those of its owner, for its unexpected ends."""
        self.on_failure: list[Callable[[BaseException], object]] = []
        """Called after each unexpected end, once the service has accounted for what it held."""
        self.on_giving_up: list[Callable[[Service], object]] = []
        """Called when it has failed for good: its owner can't go on without it."""
        self.failure: BaseException | None = None
        """What ended it unexpectedly; None again as soon as it has completed a batch since."""
        self.gave_up = False
        """Whether it has failed for good, and is not started again."""
        self._reports = events or Events()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._again: asyncio.TimerHandle | None = None
        self.pauses = Backoff(random.random, max_s=LONGEST_PAUSE_S)
        """How long it waits before it begins again."""
        self._fruitless = 0
        self._began_at = 0.0

    @property
    def name(self) -> str:
        """What log lines and the readiness probe call it."""
        return type(self).__name__.lower()

    @property
    def trouble(self) -> str | None:
        """Why it does no work now, for the readiness probe; None when it does."""
        if self.failure is None:
            return None
        state = "has failed for good" if self.gave_up else "has failed and is being started again"
        return f"the {self.name} {state}: {summary_of(self.failure)}"

    def start(self) -> None:
        """Begin, unless begun."""
        if self._task is None and not self._stopping:
            self._begin_task()

    def ask_to_stop(self) -> None:
        """Begin no further batch. A rest ends at once, and the batch that runs is finished."""
        self._stopping = True
        if self._again is not None:
            self._again.cancel()
        self.wake()

    async def stop(self) -> None:
        """End after the batch that runs. Returns when the service has ended. When this call is cancelled, the
        batch is cancelled too.
        """
        self.ask_to_stop()
        try:
            await self.wait_ended()
        except asyncio.CancelledError:
            self.cut()
            raise

    async def stop_within(self, seconds: float) -> bool:
        """Stop, and cancel the batch that runs when it takes longer than ``seconds``. Returns whether it
        ended by itself.
        """
        try:
            async with asyncio.timeout(seconds):
                await self.stop()
        except TimeoutError:
            with suppress(TimeoutError):
                async with asyncio.timeout(CUT_S):
                    await self.wait_ended()
            return False
        return True

    async def wait_ended(self) -> None:
        """Until nothing of it runs, after it was asked to stop."""
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    def cut(self) -> None:
        """Cancel the batch in hand."""
        if self._task is not None:
            self._task.cancel()

    def is_over(self) -> bool:
        """Whether no other batch should begin."""
        return self._stopping

    @abstractmethod
    async def run_once(self) -> bool:
        """One bounded batch. Returns whether more is waiting."""

    @abstractmethod
    async def rest(self) -> None:
        """Wait until there may be something to do."""

    @abstractmethod
    def wake(self) -> None:
        """End the rest."""

    def recover(self) -> None:  # noqa: B027 - most services hold nothing between two batches
        """Account for what the ended task held, before another one begins."""

    def account(self, error: BaseException, *, from_outside: bool = False) -> float | None:
        """After an unexpected end: report it, and account for what was held. Returns the pause in seconds
        before it should begin again; None when it should not: it is being stopped, or has failed for good.
        """
        self._account_for_held()
        if self.is_over() or self.gave_up:  # a batch that is cut at the stop is no news
            return None
        self.failure = error
        self._fruitless += not from_outside  # code that cancels every task says nothing about this service
        pause_s = None if self._fruitless > MAX_FRUITLESS else self._next_pause_s()
        if pause_s is None:
            self._give_up(error)
        else:
            self._report_end(error, reason=f"{summary_of(error)}; it is started again in {pause_s:.2g} s")
        for tell in self.on_failure:
            self._call(tell, error)
        return pause_s

    def completed_batch(self) -> None:
        """It works again: earlier failures are forgotten."""
        self._fruitless, self.failure = 0, None

    def _begin_clock(self) -> None:
        self._began_at = time.monotonic()

    def _begin_task(self) -> None:
        self._begin_clock()
        self._task = new_task(self._run(), name=f"postmill {self.name}")
        self._task.add_done_callback(self._task_ended)

    async def _run(self) -> None:
        while not self.is_over():
            more = await self.run_once()
            self.completed_batch()
            if not more and not self.is_over():
                await self.rest()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """Nothing supervises the supervision: where it breaks itself, the service has failed for good."""
        try:
            self._mend(*error_of(task))
        except BaseException as broken:
            if not self.gave_up:
                self.failure = broken
                self._give_up(broken)

    def _mend(self, error: BaseException | None, from_outside: bool) -> None:
        if error is None and self.is_over():
            return
        error = error or RuntimeError("it returned without being asked to")
        pause_s = self.account(error, from_outside=from_outside)
        if pause_s is not None:
            self._again = asyncio.get_running_loop().call_later(pause_s, self._begin_task_again)

    def _begin_task_again(self) -> None:
        if not self._stopping:
            self._begin_task()

    def _account_for_held(self) -> None:
        try:
            self.recover()
        except Exception as broken:
            self._report_end(broken, reason=f"it could not account for what it held: {summary_of(broken)}")

    def _next_pause_s(self) -> float:
        if time.monotonic() - self._began_at >= CALM_S:
            self.pauses.reset()
        return self.pauses.next_delay_s()

    def _give_up(self, error: BaseException) -> None:
        self.gave_up = True
        self._report_end(
            error, reason=f"{summary_of(error)}; it failed {self._fruitless} times in a row, for good"
        )
        for tell in self.on_giving_up:
            self._call(tell, self)

    def _report_end(self, error: BaseException, *, reason: str) -> None:
        shown = None if isinstance(error, asyncio.CancelledError) else error
        self._reports.emit(Event.SERVICE_FAILED, exception=shown, service=self.name, reason=reason)

    def _call(self, action: Callable[..., object], *args: object) -> None:
        """Call it where the owner expects calls."""
        action(*args)


def error_of(task: asyncio.Task[None] | None) -> tuple[BaseException | None, bool]:
    """What ended a task, None when it returned; and whether other code has cancelled it."""
    if task is None or not task.done():
        return None, False
    if task.cancelled():
        return asyncio.CancelledError("its task was cancelled"), task.cancelling() > 0
    return task.exception(), False


def new_task(
    work: Coroutine[Any, Any, _T], *, name: str | None = None, context: Context | None = None
) -> asyncio.Task[_T]:
    """A task on the running event loop. The loop's task factory is not asked: a handler may have installed
    one that knows no ``context``, or that raises.
    """
    return asyncio.Task(work, loop=asyncio.get_running_loop(), name=name, context=context)
