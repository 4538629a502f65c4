"""Ends the steps on a cluster whose run has ended. A step in the worker goes on to its end, which counts for
nothing; one on a cluster may hold a machine of it for hours.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.db.hot.outage import is_passing
from postmill.model.events import Event
from postmill.service.service import new_task
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from postmill.engine.run.attempt import Services

LOOK_S = 2.0
"""Seconds between two looks whether the runs go on. 2 s: a person who cancels a run sees the machine free by
the time that they look, and the question is one statement for all steps of a worker.
"""


class RunEnded(Exception):
    """The step's run has ended before it, and the step with it."""


@dataclass(eq=False)
class _Step:
    task: asyncio.Task[Any]
    ended: str = ""
    """How its run has ended."""


class RunWatch:
    """The steps of one worker that are on a cluster now, by their runs."""

    def __init__(self) -> None:
        self._steps: dict[int, list[_Step]] = {}
        self._none_left = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def follow(self, run: int, work: Coroutine[Any, Any, Any], services: Services) -> Any:
        """What ``work`` gives, which is cancelled when ``run`` ends before. Raises :class:`RunEnded` when it
        is over then. A cancellation of the caller is passed on to it.
        """
        step = _Step(new_task(work))
        self._steps.setdefault(run, []).append(step)
        self._none_left.clear()
        if self._looking is None or self._looking.done():
            self._looking = new_task(self._look(services))
        try:
            return await step.task
        except asyncio.CancelledError:
            if step.ended:
                raise RunEnded(f"run {run} is {step.ended}") from None
            raise
        finally:
            self._forget(run, step)

    def _forget(self, run: int, step: _Step) -> None:
        self._steps[run].remove(step)
        if not self._steps[run]:
            del self._steps[run]
        if not self._steps:
            self._none_left.set()

    async def _look(self, services: Services) -> None:
        """At times, for as long as there are steps."""
        while self._steps:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._none_left.wait()
            if self._steps:
                await self._look_once(services)

    async def _look_once(self, services: Services) -> None:
        try:
            rows = await services.reads.fetch(statement("runs_ended"), list(self._steps))
        except Exception as error:
            if not is_passing(error):
                services.events.emit(Event.WORKER_FAILED, exception=error, reason="steps are not ended")
            return
        for row in rows:
            for step in self._steps.get(row["run_id"], ()):
                if not step.ended:
                    step.ended = row["state"]
                    step.task.cancel()
