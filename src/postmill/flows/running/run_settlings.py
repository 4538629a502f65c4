"""How messages of workflows end: each end reaches the run in the statement that takes the message away.

Builds; executes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from postmill.engine.settle.settlement import Settling, leases
from postmill.engine.settle.statements import attempts_of
from postmill.flows.running.settlings import CANCELLED, STEPS, StepDropped, StepHeld, of_the_engine, text_of
from postmill.flows.running.wake import is_wake, wake_of
from postmill.model.events import Event
from postmill.model.queue.outcome import Cancelled, Failed
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.engine.settle.settlement import Entry, Settlement, Statements
    from postmill.model.queue.message import Message


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run is over."""

    state: Literal["completed", "failed", "cancelled"]
    output: str | None = None
    """What its function has returned, as JSON text."""
    reason: str | None = None
    culprit: str | None = None
    """The step for whose sake it has failed."""
    caught: tuple[str, ...] | None = None
    """The steps whose failures its function has caught; None: it was not the function that has ended it."""


@dataclass(frozen=True, slots=True)
class AwaitedStep:
    """What a run waits for: a signal, a time, either of them, or, with neither, a child's end."""

    step: str
    signal: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class RunParked:
    """The run waits, and holds no slot meanwhile."""

    waits: tuple[AwaitedStep, ...]


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """A run that a step waits for has ended."""


def _end(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    ends = [_ended(outcome) for _, outcome in settlement.pairs]
    return text_of("run_end", statements, settlement), (
        *_arguments(statements, settlement),
        [end.state for end in ends],
        [end.output for end in ends],
        [end.reason for end in ends],
        [end.culprit for end in ends],
        [None if end.caught is None else to_json(end.caught).decode() for end in ends],
    )


def _ended(outcome: Any) -> RunEnded:
    match outcome:
        case Failed():
            return RunEnded("failed", reason=outcome.reason)
        case Cancelled():
            return RunEnded("cancelled", reason=CANCELLED)
    found: RunEnded = outcome
    return found


def _park(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    waits = [to_json(outcome.waits).decode() for _, outcome in settlement.pairs]  # type: ignore[union-attr]
    return text_of("run_park", statements, settlement), (*_arguments(statements, settlement), waits)


def _child_ended(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    wakes = [wake_of(message) for message in settlement.messages]
    return text_of("run_child_ended", statements, settlement), (
        *leases(settlement),
        statements.shape.name,
        [wake.run for wake in wakes],
        [wake.step for wake in wakes],
        [wake.child for wake in wakes],
    )


def _arguments(statements: Statements, settlement: Settlement) -> tuple[Any, ...]:
    wakes = [wake_of(message) for message in settlement.messages]
    runs, numbers = [wake.run for wake in wakes], [wake.wake for wake in wakes]
    return *leases(settlement), statements.shape.name, runs, numbers


def _details(message: Message, outcome: Any) -> dict[str, Any]:
    fields = {"run": wake_of(message).run}
    match outcome:
        case Failed():
            return {**fields, "reason": outcome.reason, "attempt": attempts_of(message, outcome)}
        case RunEnded(reason=str() as reason):
            return {**fields, "reason": reason}
        case RunParked():
            return {**fields, "steps": [wait.step for wait in outcome.waits]}
    return fields


_own = partial(Settling, diagnosis="cancel", details=_details)
_COMPLETED = _own(kind="run_end", event=Event.MESSAGE_COMPLETED, build=_end)
_FAILED = _own(kind="run_end", event=Event.RUN_FAILED, build=_end)
_CANCELLED = _own(kind="run_end", event=Event.MESSAGE_CANCELLED, build=_end)
_OF_STATE = {"completed": _COMPLETED, "failed": _FAILED, "cancelled": _CANCELLED}


def _run_ended(outcome: RunEnded, _message: Message | None) -> Settling:
    return _OF_STATE[outcome.state]


def _failed(outcome: Failed, message: Message | None) -> Settling:
    """Tried again as any message. A run that is not tried again has failed, and leaves no dead letter. What
    is of no run is dead as any other message.
    """
    if outcome.retry_after_s is None and message is not None and is_wake(message):
        return _FAILED
    return of_the_engine(outcome, message)


def _cancelled(outcome: Cancelled, message: Message | None) -> Settling:
    return _CANCELLED if message is not None and is_wake(message) else of_the_engine(outcome, message)


RUNS: Mapping[type, Entry] = {
    RunEnded: _run_ended,
    RunParked: _own(kind="run_park", event=Event.RUN_PARKED, build=_park),
    ChildEnded: _own(kind="run_child_ended", event=Event.MESSAGE_COMPLETED, build=_child_ended, details=None),
    StepDropped: STEPS[StepDropped],
    StepHeld: STEPS[StepHeld],
    Failed: _failed,
    Cancelled: _cancelled,
}
"""The ways in which messages of workflows end."""
