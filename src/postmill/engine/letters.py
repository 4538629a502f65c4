"""Calls a worker's ``on_dead`` hook for each message that went to the dead letters, after it went there."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.model.events import Event
from postmill.model.outcome import Failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.engine.settlement import Settlement
    from postmill.model.message import Message
    from postmill.service.events import Events


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead message as the hook is given it."""

    message: Message
    reason: str
    kind: str
    error_type: str
    error_message: str


class DeadLetterHook:
    """Runs the hook beside the worker's work. A hook that raises is logged; the letter is written down
    already.
    """

    def __init__(self, hook: Callable[[Any], Any] | None, events: Events) -> None:
        self._hook = hook
        self._events = events
        self._running: set[asyncio.Task[None]] = set()

    def post(self, settlement: Settlement, settled: list[int]) -> None:
        """Call the hook for each settled message of ``settlement``."""
        if self._hook is None:
            return
        ids = set(settled)
        for message, outcome in settlement.pairs:
            if message.msg_id in ids and isinstance(outcome, Failed):
                letter = Letter(
                    message,
                    outcome.reason,
                    outcome.kind or "exhausted",
                    outcome.error_type,
                    outcome.error_message,
                )
                task = asyncio.create_task(self._call(letter))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    async def drain(self, timeout_s: float) -> None:
        """Wait for the hooks that still run."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_s)

    async def _call(self, letter: Letter) -> None:
        assert self._hook is not None  # noqa: S101
        try:
            if inspect.iscoroutinefunction(self._hook):
                await self._hook(letter)
                return
            answer = await asyncio.to_thread(self._hook, letter)
            if inspect.isawaitable(answer):
                await answer
        except BaseException as error:  # also SystemExit: in a task it would end the event loop
            self._events.emit(
                Event.HOOK_FAILED, exception=error, msg_id=letter.message.msg_id, reason="on_dead raised"
            )
