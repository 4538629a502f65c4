"""Which failures of steps a function has caught. A retry of its run does all others again: the SQL function
``_forget_failures`` has the rule.

Knows what was raised where, and no run. Reads no database and no clock.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.model.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Raised:
    """A failure that the function was given."""

    failure: StepFailed
    steps: tuple[str, ...]
    """Those that have failed with it: of a map all items that have."""
    inside: asyncio.Task[Any] | None
    """The task that it was raised in: the function's, or one of its branches."""

    @property
    def ended_its_branch(self) -> bool:
        """Whether nothing in that task has caught it."""
        task = self.inside
        if task is None or not task.done() or task.cancelled():
            return False
        return self.failure in failures_in(task.exception())


class Failures:
    """Of one run of a function, in the order in which it was given them."""

    def __init__(self) -> None:
        self._raised: list[Raised] = []

    def give(self, failure: StepFailed, *others: StepFailed) -> StepFailed:
        """Note that ``failure`` is raised into the function now, in place of ``others`` too; returns it."""
        steps = tuple(each.step for each in (failure, *others))
        self._raised.append(Raised(failure, steps, asyncio.current_task()))
        return failure

    def keep_back(self, failure: StepFailed) -> None:
        """The function is not given that one: what runs the step decides later what is raised."""
        self._raised = [each for each in self._raised if each.failure is not failure]

    def caught(self, error: BaseException) -> list[str]:
        """The steps whose failures the function has caught, which ended with ``error``: all but the culprits,
        and but those that ended a branch no sooner than the first culprit was raised. Whatever waits for two
        branches is told of the first one alone.
        """
        culprits = list(failures_in(error))
        caught: list[str] = []
        has_failed = False
        for each in self._raised:
            if each.failure in culprits:
                has_failed = True
            elif not (has_failed and each.ended_its_branch):
                caught += each.steps
        return caught

    def uncaught(self, error: BaseException) -> set[str]:
        """The steps by whose failures the function ended with ``error``."""
        return {step for each in self._raised for step in each.steps}.difference(self.caught(error))


def failures_in(error: BaseException | None) -> Iterator[StepFailed]:
    """The failures of steps that an error is, has in its group, or says that it was raised ``from``."""
    while error is not None and not isinstance(error, StepFailed):
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from failures_in(each)
        error = error.__cause__
    if error is not None:
        yield error
