"""The pauses between the attempts at one step: each failed attempt is written down, so that the next worker
goes on with the next one, at its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.flows.running.replay import Recorded

if TYPE_CHECKING:
    from postmill.flows.running.execution import Execution
    from postmill.flows.running.step_attempts import Pause

MOST_S = 100 * 365 * 86_400.0
"""The longest pause in seconds, a hundred years: a policy of one's own may give more than a time in the
database can hold, and means never.
"""


class Overtaken(Exception):
    """Another worker has written an outcome of the step meanwhile."""

    def __init__(self, stands: Recorded) -> None:
        super().__init__()
        self.stands = stands


class StepPauses:
    """Of one step of a run, while a worker has that."""

    def __init__(self, execution: Execution, name: str, inputs: str | None, found: Recorded | None) -> None:
        """``found``: what is recorded of the step so far, which is no outcome."""
        self._execution = execution
        self._name = name
        self._inputs = inputs
        self._found = found
        self.failed = 0 if found is None else found.attempts or 0
        """How many attempts have failed so far. One that was cut, as its worker died, is none."""

    async def rest(self) -> None:
        """What is left of the pause in which the run was loaded."""
        if self._found is not None and self._found.left_s is not None:
            left_s = self._found.left_s - self._execution.age_s
            if left_s > 0:
                await self._execution.pause(self._name, left_s)

    async def after(self, pause: Pause) -> None:
        """Write a failed attempt down, and wait until the next. Raises :class:`Overtaken`."""
        for_s = min(pause.for_s, MOST_S)
        tried = Recorded(
            "waiting", None, self._inputs, pause.reason, attempts=pause.failed, left_s=max(0.0, for_s)
        )
        stands = await self._execution.record(self._name, tried)
        if stands.state != "waiting":
            raise Overtaken(stands)
        self.failed = pause.failed
        await self._execution.pause(self._name, for_s)
