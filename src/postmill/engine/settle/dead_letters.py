"""Calls a worker's ``on_dead`` hook for each dead letter, after it was written."""

from __future__ import annotations

import asyncio
import inspect
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from postmill.engine.run.verdicts import QUOTED_LIMIT
from postmill.engine.settle.statements import attempts_of
from postmill.model.events import Event
from postmill.model.queue.outcome import Failed
from postmill.service.service import new_task
from postmill.service.threads import Threads
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.settle.settlement import Pair, Settlement
    from postmill.model.queue.message import Message
    from postmill.model.queue.outcome import Outcome
    from postmill.service.events import Events


MAX_HOOKS = 8
"""The most plain ``on_dead`` functions that run at once, each in a thread. Dead letters are rare, and a hook
mostly waits for another service: eight are enough.
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead message as the hook is given it."""

    message: Message
    reason: str
    kind: str
    error_type: str
    error_message: str
    attempts: int
    """How many attempts failed, the last one included."""


async def with_last_failures(shared: SharedConnection, queue: str, pairs: list[Pair]) -> list[Pair]:
    """The same dead messages; those that were not run again with what their last attempt met. Raises what
    asyncpg raises.
    """
    unexplained = [message for message, outcome in pairs if _lacks_failure(outcome)]
    if not unexplained:
        return pairs
    rows = await shared.fetch(
        statement("last_failures"),
        queue,
        [message.msg_id for message in unexplained],
        [message.enqueued_us for message in unexplained],
    )
    found = {row["msg_id"]: row for row in rows}
    return [(message, _explained(outcome, found.get(message.msg_id))) for message, outcome in pairs]


def _lacks_failure(outcome: Outcome) -> bool:
    return isinstance(outcome, Failed) and not outcome.kind and not outcome.error_type


def _explained(outcome: Outcome, last: Any) -> Outcome:
    if not isinstance(outcome, Failed) or not _lacks_failure(outcome) or last is None:
        return outcome
    error_type, error_message = last["error_type"] or "", last["error_message"] or ""
    said = ": ".join(part for part in (error_type, error_message[:QUOTED_LIMIT]) if part)
    return replace(
        outcome,
        error_type=error_type,
        error_message=error_message,
        traceback=last["traceback"],
        reason=f"{outcome.reason}: {said}" if said else outcome.reason,
    )


class DeadLetterHook:
    """Runs the hook beside the worker's work. An error of the hook is logged; the letter is written
    already.
    """

    def __init__(self, hook: Callable[[Any], Any] | None, events: Events) -> None:
        self._hook = hook
        self._events = events
        self._threads = Threads(MAX_HOOKS, "postmill on_dead")
        """Postmill's own threads: a handler may have shut the event loop's executor down."""
        self._running: set[asyncio.Task[None]] = set()

    def post(self, settlement: Settlement, settled: list[int]) -> None:
        """Call the hook for each settled message of ``settlement``."""
        if self._hook is None:
            return
        ids = set(settled)
        for message, outcome in settlement.pairs:
            if message.msg_id in ids and isinstance(outcome, Failed):
                dead_letter = DeadLetter(
                    message,
                    outcome.reason,
                    outcome.kind or "exhausted",
                    outcome.error_type,
                    outcome.error_message,
                    attempts_of(message, outcome),
                )
                task = new_task(self._call(dead_letter))
                self._running.add(task)
                task.add_done_callback(partial(self._ended, dead_letter))

    def _ended(self, dead_letter: DeadLetter, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled():  # before it began
            reason = "on_dead was cancelled, and not called"
            self._events.emit(Event.HOOK_FAILED, msg_id=dead_letter.message.msg_id, reason=reason)

    async def drain(self, timeout_s: float) -> None:
        """Wait for the hooks that still run."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_s)

    async def _call(self, dead_letter: DeadLetter) -> None:
        assert self._hook is not None  # noqa: S101
        try:
            if inspect.iscoroutinefunction(self._hook):
                await self._hook(dead_letter)
                return
            answer = await asyncio.wrap_future(
                self._threads.submit(partial(copy_context().run, self._hook, dead_letter))
            )
            if inspect.isawaitable(answer):
                await answer
        except BaseException as error:  # also SystemExit: in a task it would end the event loop
            self._events.emit(
                Event.HOOK_FAILED, exception=error, msg_id=dead_letter.message.msg_id, reason="on_dead raised"
            )
