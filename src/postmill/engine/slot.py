"""A slot runs one message after the other in one task: no task a message, and none at all for a handler that
never waits.

What a handler leaves behind in its task (a context variable, a pending cancellation) must not reach the next
message: a slot in that state is given a fresh task.
"""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from postmill.engine.attempt import Attempt, StopReason


class Slot:
    """One place in which a message runs."""

    __slots__ = ("_body", "_clean", "_idle", "attempts", "reason", "task")

    def __init__(self, body: Callable[[Slot], Coroutine[object, object, None]]) -> None:
        self._body = body
        self._clean = copy_context()
        self._idle: asyncio.Future[None] | None = None
        self.attempts: Sequence[Attempt] = ()
        """What runs now; empty between messages."""
        self.reason: StopReason | None = None
        """Why what runs now was cancelled by the engine; None: it was not."""
        self.task = self._fresh_task()

    def cancel(self, reason: StopReason) -> None:
        """Tell what runs now to stop, and cancel it."""
        if not self.attempts or self.reason is not None:
            return
        self.reason = reason
        for attempt in self.attempts:
            attempt.tell(reason)
        self.task.cancel()

    async def wait_for_work(self) -> None:
        """Rest until :meth:`wake`."""
        self._idle = asyncio.get_running_loop().create_future()
        try:
            await self._idle
        finally:
            self._idle = None

    def wake(self) -> None:
        """There is work."""
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def finished(self) -> bool:
        """What ran has ended. Returns False when this task must not run another: its slot goes on in a fresh
        one.
        """
        self.attempts = ()
        was_cancelled = self.task.cancelling() > 0 or self.reason is not None
        self.reason = None
        if not was_cancelled and copy_context() == self._clean:
            return True
        self.task = self._fresh_task()
        return False

    def _fresh_task(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._body(self), context=_copied(self._clean))


def _copied(context: Context) -> Context:
    return context.run(copy_context)
