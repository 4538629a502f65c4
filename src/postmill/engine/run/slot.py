"""A slot runs one message, or one batch, after the other.

A handler may keep its task and cancel it long after its message is finished. So a task runs another message
only if the handler before it never waited and left nothing behind: no context variable, no cancellation, and
no reference to its task. Otherwise the next message gets a fresh task.
"""

from __future__ import annotations

from contextvars import Context, copy_context
from sys import getrefcount
from typing import TYPE_CHECKING, Any
from weakref import getweakrefcount

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from postmill.engine.run.attempt import Attempt, StopReason
    from postmill.model.queue.message import Message
    from postmill.model.queue.outcome import Outcome


class Slot:
    """One place in which messages run."""

    __slots__ = ("_held", "attempts", "messages", "outcomes", "reason", "task", "told")

    def __init__(self, messages: Sequence[Message]) -> None:
        self.task: asyncio.Task[None] | None = None
        self._held = 0
        self.messages = messages
        """What runs; empty once its outcomes are handed over."""
        self.outcomes: Sequence[Outcome] = ()
        """One for each message, once the handler has ended."""
        self.attempts: Sequence[Attempt] = ()
        """What runs; empty before the handler has begun."""
        self.reason: StopReason | None = None
        """Why what runs was cancelled by the engine; None: it was not."""
        self.told: StopReason | None = None
        """Why what runs, or is about to begin, should come to an end by itself; None: it should not."""

    def tell(self, reason: StopReason) -> None:
        """Tell what runs to come to an end by itself; also what is about to begin."""
        self.told = reason
        for attempt in self.attempts:
            attempt.tell(reason)

    def cancel(self, reason: StopReason) -> None:
        """Tell what runs to stop, and cancel it; the first reason stands."""
        if self.reason is not None or self.task is None or self.task.done() or not self.messages:
            return
        self.reason = reason
        self.tell(reason)
        self.task.cancel()

    def began(self) -> None:
        """Note how many references and callbacks the task has before the first handler could add one: one
        more afterwards, and other code knows the task. Counted here and below in the same words, because a
        function in between would hold the task too.
        """
        task: Any = self.task
        self._held = getrefcount(task) + getweakrefcount(task) + len(task._callbacks or ())

    def is_clean(self, clean: Context) -> bool:
        """Whether what ran has left nothing behind in the task. ``clean``: the context that it was given.
        Only for a handler that has not waited: in one turn of the event loop nobody else's hold changes.
        """
        task: Any = self.task
        return (
            self.told is None
            and getrefcount(task) + getweakrefcount(task) + len(task._callbacks or ()) == self._held
            and not task.cancelling()
            and copy_context() == clean
        )
