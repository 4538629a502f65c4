"""A service that has something to do at times. It works in a task of its own, or takes turns with others in
the task of their owner, where they share what only one may use at a time.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.service.service import LONGEST_PAUSE_S, Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.service.events import Events


class TimedService(Service):
    """:meth:`run_once` is called whenever ``due_at`` has come, and says there when it is due again."""

    def __init__(self, events: Events | None = None) -> None:
        super().__init__(events)
        self._due_at = 0.0
        self._resumes_at = 0.0
        """No turn before this time, after an unexpected end."""
        self._woken = asyncio.Event()

    @property
    def due_at(self) -> float:
        """When to call :meth:`run_once` next, by the monotonic clock."""
        return self._due_at

    @property
    def turn_at(self) -> float:
        """When its next turn is: as soon as it is due, and has paused after an unexpected end."""
        return max(self.due_at, self._resumes_at)

    @abstractmethod
    async def run_once(self) -> bool:
        """One bounded batch, after which ``due_at`` is another time. Returns whether more is waiting."""

    async def rest(self) -> None:
        """Until it is due, or is woken."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self.turn_at - time.monotonic())):
                await self._woken.wait()
        self._woken.clear()

    def wake(self) -> None:
        """End the rest, because ``due_at`` may be another time now."""
        self._woken.set()

    async def take_turn(self, concerns_all: Callable[[BaseException], bool]) -> bool:
        """One batch in the task of the owner, supervised as one in its own. Returns whether it was completed.

        Raises an error that ``concerns_all`` services which take turns, and the cancellation of that task.
        After any other the service pauses, while the others go on. A service that has failed for good tells
        its owner, and still has turns until the owner stops it: its work may still succeed in part, above all
        the renewal of leases.
        """
        try:
            await self.run_once()
        except BaseException as error:
            if concerns_all(error) or _is_cancelled(error):
                raise
            pause_s = self.account(error)
            self._began_at = time.monotonic() + (LONGEST_PAUSE_S if pause_s is None else pause_s)
            self._resumes_at = self._began_at
            return False
        self.completed_batch()
        return True

    async def _run(self) -> None:
        while not self.is_over():
            if self.turn_at <= time.monotonic():
                await self.run_once()
                self.completed_batch()
                await asyncio.sleep(0)  # one that is always due must not keep the loop for itself
            else:
                await self.rest()


def _is_cancelled(error: BaseException) -> bool:
    """Whether other code has cancelled the current task, and no ``run_once`` raised it out of nothing."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
