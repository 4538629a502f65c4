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

    from postmill.client.home import Home
    from postmill.client.sending import Statement
    from postmill.db.hot.handler_connections import HandlerConnection, HandlerConnections
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.model.queue.message import Message
    from postmill.model.queue.outcome import Outcome
    from postmill.service.events import Events

CLOCK_S = 0.001
"""The timer of an event loop may fire this much early, in seconds: its clock counts whole milliseconds."""

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
        """Set the event with a reason; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self._in_thread.set()
            if self._in_loop is not None:
                self._in_loop.set()


class TimeLimit:
    """Cancels a slot's attempt at its deadline, which can be extended. The messages of a batch share one."""

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
        """The attempt has ended."""
        self._timer.cancel()

    def begin(self) -> None:
        """The attempt begins only now, after :meth:`end`: what came before it does not count."""
        self.deadline = self._loop.time() + self.seconds
        self._timer = self._loop.call_at(self.deadline, self._ring)

    def _ring(self) -> None:
        if self._loop.time() < self.deadline - CLOCK_S:
            self._timer = self._loop.call_at(self.deadline, self._ring)
        else:
            self._expire("timeout")


class Services(Protocol):
    """What a running handler can ask its worker for; ``engine.run.attempt_services`` does it."""

    @property
    def worker_id(self) -> UUID:
        """The worker that makes the attempt."""

    @property
    def connections(self) -> HandlerConnections:
        """The connections that the handler can borrow."""

    @property
    def home(self) -> Home | None:
        """The database of the message, among several."""

    @property
    def events(self) -> Events:
        """The worker's log."""

    @property
    def reads(self) -> SharedConnection:
        """The worker's own connection, for short statements that only read: claims wait for them."""

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
        """The error with which a block of the handler ended when its connection was lost."""
        self.ended = False
        """Whether the handler has returned or raised: its context refuses all work from then on."""
        self.completed_in_transaction = False
        """Whether the handler's own transaction has completed the message."""
        self.lease_lost = False
        """Whether the handler's own transaction has found that another client has the message."""
        self.refused = False
        """The error with which the database refused to complete the message, for a reason that is not the
        message's own.
        """
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
        """Extend the deadline; does nothing without one."""
        if self.time_limit is not None:
            self.time_limit.deadline += seconds

    def lost_connection(self, error: BaseException) -> None:
        """A connection that the handler had borrowed was lost, and its block ended with ``error``."""
        self.outage = error

    def tell(self, reason: StopReason) -> None:
        """Set the reason why the handler should end. A handler that does not look at it is not
        interrupted.
        """
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
        """Why the engine has cancelled the attempt; None: it has not."""
        self.told: StopReason | None = None
        """Why the attempt should end by itself, also one that is about to begin; None: it should not."""

    def tell(self, reason: StopReason) -> None:
        """Ask the attempt to end by itself, also one that is about to begin."""
        self.told = reason
        for attempt in self.attempts:
            attempt.tell(reason)

    def cancel(self, reason: StopReason) -> None:
        """Ask the attempt to stop, and cancel it; the first reason counts."""
        if self.reason is not None or self.task is None or self.task.done() or not self.messages:
            return
        self.reason = reason
        self.tell(reason)
        self.task.cancel()

    def began(self) -> None:
        """Count the references and callbacks of the task before the first handler can add one. If there are
        more afterwards, other code holds the task. The count is written out here and below, because a
        function call would hold the task too.
        """
        task: Any = self.task
        self._held = getrefcount(task) + getweakrefcount(task) + len(task._callbacks or ())

    def is_clean(self, clean: Context) -> bool:
        """Whether the handler has left nothing behind in the task. ``clean``: the context that it was given.
        Only for a handler that has not waited: within one turn of the event loop no other code can take or
        drop a reference.
        """
        task: Any = self.task
        return (
            self.told is None
            and getrefcount(task) + getweakrefcount(task) + len(task._callbacks or ()) == self._held
            and not task.cancelling()
            and copy_context() == clean
        )
