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
from typing import TYPE_CHECKING

from postmill.model.error_text import summary_of
from postmill.model.events import Event
from postmill.service.backoff import Backoff
from postmill.service.events import Events
from postmill.service.tasks import new_task

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FRUITLESS = 8
"""Ends in a row without a batch between them, after which a service has failed for good. Their pauses add up
to about five seconds: what does not mend itself in that time needs a new process.
"""
CUT_S = 1.0
"""How long a batch that was cut may take to end. It has nothing to wait for: this is for a busy machine."""
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
        """It has failed for good, and is not started again."""
        self._reports = events or Events()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._again: asyncio.TimerHandle | None = None
        self._pauses = Backoff(random.random)
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

    async def stop(self) -> None:
        """End after the batch in hand. Returns when the service has ended. Cancelled, it cuts that batch."""
        self._stopping = True
        if self._again is not None:
            self._again.cancel()
        self.wake()
        if self._task is None or self._task.done():
            return
        try:
            await asyncio.wait({self._task})
        except asyncio.CancelledError:
            self._task.cancel()
            raise

    async def stop_within(self, seconds: float) -> bool:
        """Stop, and cut the batch in hand when it takes longer than ``seconds``. Returns whether it ended by
        itself.
        """
        try:
            async with asyncio.timeout(seconds):
                await self.stop()
        except TimeoutError:
            if self._task is not None:
                await asyncio.wait({self._task}, timeout=CUT_S)
            return False
        return True

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

    def _begin_task(self) -> None:
        self._began_at = time.monotonic()
        self._task = new_task(self._run(), name=f"postmill {self.name}")
        self._task.add_done_callback(self._task_ended)

    async def _run(self) -> None:
        while not self._stopping:
            more = await self.run_once()
            self._fruitless, self.failure = 0, None
            if not more and not self._stopping:
                await self.rest()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """Nothing supervises the supervision: where it breaks itself, the service has failed for good."""
        try:
            self._mend(_error_of(task), from_outside=task.cancelled() and task.cancelling() > 0)
        except BaseException as broken:
            if not self.gave_up:
                self.failure = broken
                self._give_up(broken)

    def _mend(self, error: BaseException | None, *, from_outside: bool) -> None:
        if error is None and self._stopping:
            return
        error = error or RuntimeError("it returned without being asked to")
        self._account_for_held()
        if self._stopping:  # who stops it sees to the rest; a cut batch is no news then
            return
        self.failure = error
        self._fruitless += not from_outside  # who cancels every task says nothing about this service
        if self._fruitless > MAX_FRUITLESS:
            self._give_up(error)
        else:
            self._start_task_again(error)
        for tell in self.on_failure:
            tell(error)

    def _account_for_held(self) -> None:
        try:
            self.recover()
        except Exception as broken:
            self._report_end(broken, reason=f"it could not account for what it held: {summary_of(broken)}")

    def _start_task_again(self, error: BaseException) -> None:
        if time.monotonic() - self._began_at >= CALM_S:
            self._pauses.reset()
        pause_s = self._pauses.next_delay_s()
        self._again = asyncio.get_running_loop().call_later(pause_s, self._begin_task_again)
        self._report_end(error, reason=f"{summary_of(error)}; it is started again in {pause_s:.2g} s")

    def _begin_task_again(self) -> None:
        if not self._stopping:
            self._begin_task()

    def _give_up(self, error: BaseException) -> None:
        self.gave_up = True
        self._report_end(
            error, reason=f"{summary_of(error)}; it failed {self._fruitless} times in a row, for good"
        )
        for tell in self.on_giving_up:
            tell(self)

    def _report_end(self, error: BaseException, *, reason: str) -> None:
        shown = None if isinstance(error, asyncio.CancelledError) else error
        self._reports.emit(Event.SERVICE_FAILED, exception=shown, service=self.name, reason=reason)


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    """What ended a task; None when it returned."""
    return asyncio.CancelledError("its task was cancelled") if task.cancelled() else task.exception()
