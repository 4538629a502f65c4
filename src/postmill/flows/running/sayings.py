"""What a run writes down beside its function, which runs on meanwhile: events, and which code it passes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from postmill.flows.running.checkpoints import Said
from postmill.service.service import new_task

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from postmill.flows.running.execution import Execution


class Sayings:
    """Of one run, while a worker has it."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()

    def say(self, step: str | None, name: str, content: str) -> None:
        """Keep an event, with the next statement. May be called from a step's thread."""
        execution = self._execution
        said = Said(execution.attempt.message, execution.loaded.run_id, step, name, content)
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self._say(said)
        else:
            self._loop.call_soon_threadsafe(self._say, said)

    def keep(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin ``work``. What the database does not take is the run's affair, as with any record."""
        task = new_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def written(self) -> None:
        """Wait until all of it is written, or can't be."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _say(self, said: Said) -> None:
        self.keep(self._execution.checkpoints.say(said, self._execution.shared))

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._execution.refused = self._execution.refused or error
