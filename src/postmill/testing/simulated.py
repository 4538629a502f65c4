"""What a simulated run came to, as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from postmill.handlers.invokers import decoder
from postmill.model.errors import NotFound, RunFailed
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.flows.runnable import Runnable
    from postmill.flows.steps import Step

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class SimulatedStep:
    """How one step has ended."""

    state: Literal["completed", "failed", "skipped"]
    output: Any = None
    """As JSON has it."""
    reason: str = ""
    ended_s: float = 0.0
    """When, in seconds from the start of the run, as its clock had it."""


@dataclass(frozen=True, slots=True)
class Simulated(Generic[T]):
    """One run. ``T``: what it gives."""

    of: Runnable[T]
    """The flow or the workflow."""
    state: Literal["completed", "failed"]
    steps: dict[str, SimulatedStep]
    """By name, in the order in which they began; without those that never did."""
    took_s: float
    """How long it would have taken, had the work itself taken no time: delays, sleeps, waits, retries."""
    culprit: str | None = None
    """The step for whose sake it has failed."""
    reason: str = ""
    undone: Sequence[str] = ()
    """What was undone, in that order: steps of a flow, functions of a workflow."""
    events: Sequence[tuple[str, Any]] = ()
    """What a workflow has emitted: names and values."""
    started: Sequence[str] = ()
    """The flows and workflows that a workflow has started with ``ctx.start``; they are not run."""
    value: Any = field(default=None, repr=False)
    """The result as JSON has it."""

    @property
    def result(self) -> T:
        """What it gives. Raises :class:`RunFailed` for a run that has failed."""
        if self.state == "failed":
            at = f"Step {self.culprit!r}: " if self.culprit else ""
            raise RunFailed(
                f"The run of {self.of.name} has failed.",
                why=f"{at}{self.reason}.",
                culprit=self.culprit,
                reason=self.reason,
            )
        return cast("T", self.of.decode_result(to_json(self.value).decode()))

    def output(self, step: Step[U]) -> U:
        """What a step of a flow has given. Raises :class:`NotFound` for one that has not completed."""
        ended = self.steps.get(step.name)
        if ended is None or ended.state != "completed":
            raise NotFound(
                f"Step {step.name!r} has given nothing.",
                why=f"It was {ended.state}: {ended.reason}." if ended else "It never began.",
            )
        return cast("U", decoder(step.output_type)(to_json(ended.output).decode()))
