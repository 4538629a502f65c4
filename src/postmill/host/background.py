"""Background tasks of the host that no caller waits for. An error of one is logged.

Knows no function and no process.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from postmill.model.events import Event

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from postmill.service.events import Events


class Background:
    """The tasks of one owner. ``named`` stands in the log line of a task that has failed."""

    def __init__(self, events: Events, **named: str) -> None:
        self._events = events
        self._named = named
        self._tasks: set[asyncio.Task[Any]] = set()

    def run(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Begin ``work``. An error of it is a bug of the host, and is logged with its traceback."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def failed(self, error: BaseException) -> None:
        """Log an error that the owner has caught itself."""
        reason = f"{type(error).__name__}: {error}"
        self._events.emit(Event.HOST_FAILED, exception=error, reason=reason, **self._named)

    async def finish(self) -> None:
        """Wait for every task. If this is cancelled, the tasks go on."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed(error)
