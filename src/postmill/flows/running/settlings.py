"""How the tasks of flows end: each end reaches the run in the statement that takes the message away.

The outcomes that only flows have stand here, and those of the engine's that would end a message past its run:
a failure that is not tried again, and a cancellation. Builds; executes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from postmill.engine.settle.settlement import NO_ROOM, Settlement, Settling, leases
from postmill.engine.settle.statements import OWN, details, failure_columns
from postmill.flows.running.task import origin_of, task_of
from postmill.model.errors import InvalidPayload
from postmill.model.events import Event
from postmill.model.queue.outcome import Cancelled, Failed
from postmill.model.queue.refusal import weakened
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.engine.settle.settlement import Entry, Statements
    from postmill.model.queue.message import Message

CANCELLED = "its message was cancelled"
"""Why a step has failed, or a run was cancelled, whose message ``postmill.cancel`` has ended."""


@dataclass(frozen=True, slots=True)
class StepCompleted:
    """The step, or the item of a map, is done."""

    output: str
    """What it has returned, as JSON text; ``null`` is an output too."""


@dataclass(frozen=True, slots=True)
class StepDropped:
    """Its run needs it no more, or does not exist: the message is deleted, and nothing else changes."""

    reason: str


@dataclass(frozen=True, slots=True)
class StepHeld:
    """It can't run now. Its message is kept apart, and sent again when it can."""

    why: Literal["paused", "version"]
    """``paused``: its run is. ``version``: this program lacks the step as the run's version has it."""


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """The step is a run of another flow, which begins now. It goes on when that run has ended."""

    flow: str
    input: str
    """JSON text."""


@dataclass(frozen=True, slots=True)
class StepUndone:
    """What the step had done is undone; the step before it is next."""


@dataclass(frozen=True, slots=True)
class InputRefused:
    """The run's input does not fit its flow's type. The run fails: no step can do anything about that."""

    reason: str


DONE = StepCompleted("null")
"""A step that has nothing to return, such as one that sleeps."""


def _complete(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    outputs = [outcome.output for _, outcome in settlement.pairs]  # type: ignore[union-attr]
    arguments = (*leases(settlement), statements.shape.name, *_tasks(settlement), outputs)
    if settlement.room is None:
        return text_of("step_settle", statements, settlement), arguments
    room, flags = settlement.room, ["claiming"]
    if statements.shape.has_last_read_at:
        flags.append("claiming_and_read")
    if room.begins:
        flags.append("given")
    claims = room.messages, room.lease, room.max_bytes, statements.worker_id
    return text_of("step_settle", statements, settlement, *flags), (*arguments, *claims)


def _prepare(statements: Statements) -> list[tuple[str, tuple[Any, ...]]]:
    """To settle, with and without claiming what follows."""
    rooms = (None, NO_ROOM, NO_ROOM._replace(begins=True))
    empty = [Settlement(_COMPLETED, [], [], [], room=room) for room in rooms]
    settles = [_complete(statements, settlement) for settlement in empty]
    return [*settles, (statement("step_prepare"), (statements.shape.name,))]


def _fail(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    arguments = (*_failure(statements, settlement), *_tasks(settlement))
    return text_of("step_fail", statements, settlement), arguments


def _undo(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    runs, steps, _ = _tasks(settlement)
    arguments = (*leases(settlement), statements.shape.name, runs, steps)
    return text_of("undo_settle", statements, settlement), arguments


def _fail_to_undo(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    runs, steps, _ = _tasks(settlement)
    return text_of("undo_fail", statements, settlement), (*_failure(statements, settlement), runs, steps)


def _failure(statements: Statements, settlement: Settlement) -> tuple[Any, ...]:
    reasons = [
        outcome.reason if isinstance(outcome, Failed) else CANCELLED for _, outcome in settlement.pairs
    ]
    return (
        *leases(settlement),
        statements.shape.name,
        statements.worker_id,
        reasons,
        *failure_columns(settlement),
    )


def _refuse_input(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    runs, _, _ = _tasks(settlement)
    reasons = [outcome.reason for _, outcome in settlement.pairs]  # type: ignore[union-attr]
    arguments = (*leases(settlement), statements.shape.name, runs, reasons)
    return text_of("run_refuse_input", statements, settlement), arguments


def _drop(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    return text_of("step_drop", statements, settlement), (*leases(settlement), statements.shape.name)


def _hold(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    origins = [origin_of(message) for message in settlement.messages]
    return text_of("step_hold", statements, settlement), (
        *leases(settlement),
        statements.shape.name,
        [origin and origin.run for origin in origins],
        [origin and origin.step for origin in origins],
        [origin and origin.item for origin in origins],
        [outcome.why for _, outcome in settlement.pairs],  # type: ignore[union-attr]
    )


def _start_child(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    runs, steps, _ = _tasks(settlement)
    flows = [outcome.flow for _, outcome in settlement.pairs]  # type: ignore[union-attr]
    inputs = [outcome.input for _, outcome in settlement.pairs]  # type: ignore[union-attr]
    arguments = (*leases(settlement), statements.shape.name, runs, steps, flows, inputs)
    return text_of("step_start_child", statements, settlement), arguments


def text_of(name: str, statements: Statements, settlement: Settlement, *flags: str) -> str:
    """A statement about the messages of a settlement."""
    return queue_statement(name, statements.shape, *settlement.gates, *flags)


def _tasks(settlement: Settlement) -> tuple[list[int], list[str], list[int | None]]:
    """The runs, steps and items that the messages are of."""
    tasks = [task_of(message) for message in settlement.messages]
    return [task.run for task in tasks], [task.step for task in tasks], [task.item for task in tasks]


_own = partial(Settling, diagnosis="cancel")
_COMPLETED = _own(
    kind="step_settle", event=Event.MESSAGE_COMPLETED, build=_complete, prepare=_prepare, claims=True
)
_dead = partial(
    _own,
    event=Event.STEP_FAILED,
    details=lambda message, outcome: (
        details(message, outcome) if isinstance(outcome, Failed) else {"reason": CANCELLED}
    ),
    buries=True,
    weaker=weakened,
)
_FAILED = _dead(kind="step_fail", build=_fail)
_NOT_UNDONE = _dead(kind="undo_fail", build=_fail_to_undo)


def _failed(outcome: Failed, message: Message | None) -> Settling:
    """Tried again as any message. A step that is not tried again fails, and leaves no dead letter: its run
    tells of it. What is no task is dead as any other message.
    """
    if outcome.retry_after_s is not None:
        return of_the_engine(outcome, message)
    return _ended_for_good(outcome, message)


def _ended_for_good(outcome: Failed | Cancelled, message: Message | None) -> Settling:
    try:
        task = None if message is None else task_of(message)
    except InvalidPayload:
        task = None
    if task is None:
        return of_the_engine(outcome, message)
    return _NOT_UNDONE if task.undo else _FAILED


def of_the_engine(outcome: Failed | Cancelled, message: Message | None) -> Settling:
    """How any other message ends so."""
    entry = OWN[Failed if isinstance(outcome, Failed) else Cancelled]
    return entry if isinstance(entry, Settling) else entry(outcome, message)


STEPS: Mapping[type, Entry] = {
    StepCompleted: _COMPLETED,
    StepUndone: _own(kind="undo_settle", event=Event.MESSAGE_COMPLETED, build=_undo),
    InputRefused: _own(
        kind="run_refuse_input",
        event=Event.RUN_FAILED,
        build=_refuse_input,
        details=lambda message, outcome: {"run": task_of(message).run, "reason": outcome.reason},
    ),
    StepDropped: _own(
        kind="step_drop",
        event=Event.STEP_DROPPED,
        build=_drop,
        details=lambda _message, outcome: {"reason": outcome.reason},
    ),
    StepHeld: _own(
        kind="step_hold",
        event=Event.STEP_HELD,
        build=_hold,
        details=lambda _message, outcome: {"reason": outcome.why},
    ),
    ChildStarted: _own(kind="step_start_child", event=Event.MESSAGE_COMPLETED, build=_start_child),
    Failed: _failed,
    Cancelled: _ended_for_good,
}
"""The ways in which the tasks of a graph flow end."""
