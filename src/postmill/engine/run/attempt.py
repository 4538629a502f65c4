"""What runs: one attempt at one message, and the slot in which attempts follow each other.

An attempt is what the code that runs it sees: why it should stop, when at the latest, and what the engine can
do for it. A slot is the place of one message, or of one batch.
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from sys import getrefcount
from typing import TYPE_CHECKING, Any, Literal, Protocol
from weakref import getweakrefcount

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from contextvars import Context
    from uuid import UUID

    from postmill.client.sending import Statement
    from postmill.db.hot.handler_connections import HandlerConnection, HandlerConnections
    from postmill.model.queue.message import Message
    from postmill.model.queue.outcome import Outcome
    from postmill.service.events import Events

CLOCK_S = 0.001
"""How much early, in seconds, an event loop's timer may go off: uvloop counts whole milliseconds."""

StopReason = Literal["shutdown", "timeout", "lease_lost", "cancelled"]


class Stopping:
    """An event with a reason. Can be read and waited for from the event loop and from threads."""

    def __init__(self) -> None:
        self.reason: StopReason | None = None
        self._in_thread = threading.Event()
        self._in_loop: asyncio.Event | None = None

    def is_set(self) -> bool:
        """Whether the attempt should come to an end."""
        return self.reason is not None

    async def wait(self) -> StopReason:
        """Wait on the event loop until the attempt should end; returns why."""
        if self._in_loop is None:
            self._in_loop = asyncio.Event()
        if self.reason is None:
            await self._in_loop.wait()
        assert self.reason is not None  # noqa: S101 - set() names it first
        return self.reason

    def wait_in_thread(self, timeout_s: float | None = None) -> StopReason | None:
        """The same for a handler that runs in a thread; None when ``timeout_s`` passed first."""
        self._in_thread.wait(timeout_s)
        return self.reason

    def set(self, reason: StopReason) -> None:
        """Say why; the first reason stands."""
        if self.reason is None:
            self.reason = reason
            self._in_thread.set()
            if self._in_loop is not None:
                self._in_loop.set()


class TimeLimit:
    """Ends what runs in a slot at a deadline, which can be put off. The messages of a batch share one."""

    __slots__ = ("_expire", "_loop", "_timer", "deadline", "seconds")

    def __init__(self, seconds: float, expire: Callable[[StopReason], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._expire = expire
        self.seconds = seconds
        """Its length when it began."""
        self.deadline = self._loop.time() + seconds
        """By the loop's clock."""
        self._timer = self._loop.call_at(self.deadline, self._ring)

    def end(self) -> None:
        """What was limited has ended."""
        self._timer.cancel()

    def _ring(self) -> None:
        if self._loop.time() < self.deadline - CLOCK_S:
            self._timer = self._loop.call_at(self.deadline, self._ring)
        else:
            self._expire("timeout")


class Services(Protocol):
    """What a running handler may ask its worker for; done by ``engine.run.attempt_services``."""

    @property
    def worker_id(self) -> UUID:
        """Whose attempt it is."""

    @property
    def connections(self) -> HandlerConnections:
        """To borrow from."""

    @property
    def events(self) -> Events:
        """The worker's log."""

    def transaction(self, attempt: Attempt) -> AbstractAsyncContextManager[HandlerConnection]:
        """A transaction that completes the attempt's message when it commits."""


class Attempt:
    """Made for each message before its handler; costs nothing until the handler asks for something."""

    __slots__ = (
        "_stopping",
        "completed_in_transaction",
        "ended",
        "lease_lost",
        "message",
        "outage",
        "refused",
        "sends",
        "services",
        "time_limit",
    )

    def __init__(self, message: Message, services: Services) -> None:
        self.message = message
        self.services = services
        self.time_limit: TimeLimit | None = None
        """Cancels what runs at its deadline; None: it has none."""
        self.outage: BaseException | None = None
        """With this error a block of the handler's ended when its connection was lost."""
        self.ended = False
        """The handler has returned or raised: what its context does is refused from now on."""
        self.completed_in_transaction = False
        """A transaction of the handler's own has completed the message."""
        self.lease_lost = False
        """A transaction of the handler's own has found that somebody else has the message."""
        self.refused = False
        """The database refused to complete the message, for a reason that every message may meet."""
        self.sends: list[Statement] | None = None
        """Messages to send in the transaction that completes this one."""
        self._stopping: Stopping | None = None

    @property
    def stopping(self) -> Stopping:
        """Set when the attempt should come to an end."""
        if self._stopping is None:
            self._stopping = Stopping()
        return self._stopping

    @property
    def limit_s(self) -> float | None:
        """How long it may take, as it was when it began; None: it has no limit."""
        return None if self.time_limit is None else self.time_limit.seconds

    def extend(self, seconds: float) -> None:
        """Put the deadline off; nothing without one."""
        if self.time_limit is not None:
            self.time_limit.deadline += seconds

    def lost_connection(self, error: BaseException) -> None:
        """A connection that the handler had borrowed is gone, and ``error`` came out of its block."""
        self.outage = error

    def tell(self, reason: StopReason) -> None:
        """Tell the handler to come to an end; a handler that never asks is not woken."""
        self.stopping.set(reason)


class Slot:
    """One place in which messages run, one after the other.

    A handler may keep its task and cancel it long after its message is finished. So a task runs another
    message only if the handler before it never waited and left nothing behind: no context variable, no
    cancellation, and no reference to its task. Otherwise the next message gets a fresh task.
    """

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
