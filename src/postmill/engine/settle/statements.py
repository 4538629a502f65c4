"""How the engine's own outcomes are settled: the statement of each, its arguments, and what the log says.

Builds; executes nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from postmill.engine.settle.settlement import Settling, array_literal, leases, tokens
from postmill.model.events import Event
from postmill.model.queue.outcome import (
    Cancelled,
    Completed,
    Failed,
    Lost,
    Outcome,
    Parked,
    Released,
    Settled,
    Snooze,
)
from postmill.model.queue.refusal import weakened
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.engine.settle.settlement import Entry, Settlement, Statements
    from postmill.model.queue.message import Message


def _complete(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    shape, flags = statements.shape, (*statements.complete_flags, *settlement.gates)
    arguments = (*tokens(settlement), settlement.finished, shape.name)
    if not statements.keep_results:
        return queue_statement("complete", shape, *flags), arguments
    results = [_result(outcome) for _, outcome in settlement.pairs]
    return queue_statement("complete", shape, *flags, "results"), (*arguments, results)


def _reschedule(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    return queue_statement("reschedule", statements.shape, *settlement.gates), (
        *leases(settlement),
        statements.shape.name,
        statements.worker_id,
        [delay_s(outcome) for _, outcome in settlement.pairs],
        *failure_columns(settlement),
    )


def _dead_letter(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    reasons = [outcome.reason for _, outcome in settlement.pairs if isinstance(outcome, Failed)]
    again = ([message.enqueued_us for message in settlement.messages],) if settlement.uncertain else ()
    flags = (*(("again",) if again else ()), *settlement.gates)
    return queue_statement("dead_letter", statements.shape, *flags), (
        *leases(settlement),
        statements.shape.name,
        statements.worker_id,
        reasons,
        *failure_columns(settlement),
        *again,
    )


def _cancel(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    text = queue_statement("cancel_running", statements.shape, *settlement.gates)
    return text, (*leases(settlement), statements.shape.name)


def _park(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    return queue_statement("park", statements.shape), (*leases(settlement), statements.shape.name)


def _close(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    lost = [message for message, outcome in settlement.pairs if isinstance(outcome, Lost)]
    begun = [message for message in lost if message.started]
    results = [_result(outcome) for _, outcome in settlement.pairs]
    flags = ("results",) if any(result is not None for result in results) else ()
    return statement("close_claims", *flags, *settlement.gates), (
        array_literal(message.msg_id for message in settlement.messages),
        statements.shape.name,
        statements.worker_id,
        settlement.finished,
        settlement.touched,
        [message.msg_id for message in begun],
        [message.attempt for message in begun],
        [message.claim.claim_id for message in begun],
        *((results,) if flags else ()),
    )


def attempts_of(message: Message, outcome: Failed) -> int:
    """How many attempts of a dead message failed. One that was not run again has no attempt of its own."""
    return message.attempt if outcome.kind else message.failures


def failure_columns(settlement: Settlement) -> tuple[list[Any], ...]:
    """The columns of the records of failed attempts: null where there was none."""
    rows = [_failure(message, outcome) for message, outcome in settlement.pairs]
    return tuple([row[column] for row in rows] for column in range(6))


def _failure(message: Message, outcome: Outcome) -> tuple[Any, ...]:
    if not isinstance(outcome, Failed):
        return (None,) * 6
    if not outcome.kind:  # not run again: no attempt to record, but its last one stands in the letter
        counted = attempts_of(message, outcome)
        return (counted, None, outcome.error_type or None, None, outcome.traceback, None)
    return (
        message.attempt,
        outcome.kind,
        outcome.error_type,
        outcome.error_message,
        outcome.traceback,
        outcome.ran_s,
    )


def delay_s(outcome: Outcome) -> float:
    """Seconds until the message of a rescheduling outcome is due again."""
    if isinstance(outcome, Failed):
        return outcome.retry_after_s or 0.0
    return outcome.after_s if isinstance(outcome, Snooze) else 0.0


def _result(outcome: Outcome) -> str | None:
    return outcome.result if isinstance(outcome, Completed | Settled) else None


def details(message: Message, outcome: Outcome) -> dict[str, Any]:
    """What the log says of a message that failed, or is put off."""
    if not isinstance(outcome, Failed):
        return {"in_s": delay_s(outcome)}
    fields = {"error": _error(outcome), "attempt": attempts_of(message, outcome)}
    if outcome.traceback and (outcome.retry_after_s is None or message.attempt == 1):
        fields["traceback"] = outcome.traceback
    if outcome.retry_after_s is None:
        return {**fields, "kind": outcome.kind or "exhausted", "reason": outcome.reason}
    return {**fields, "kind": outcome.kind, "in_s": round(outcome.retry_after_s, 1)}


def _error(failure: Failed) -> str:
    """The failure in a line of the log, cut to what fits there."""
    named = f"{failure.error_type}: " if failure.error_type else ""
    return f"{named}{failure.error_message}"[:300]


_own = partial(Settling, weaker=weakened)
_RETRIED = _own(
    kind="reschedule",
    event=Event.MESSAGE_RETRYING,
    build=_reschedule,
    details=details,
    due_in_s=delay_s,
    diagnosis="reschedule",
)
_DEAD = _own(
    kind="dead_letter",
    event=Event.MESSAGE_DEAD,
    build=_dead_letter,
    details=details,
    buries=True,
    diagnosis="dead_letter",
)


def _failed(outcome: Failed, _message: Message | None) -> Settling:
    return _DEAD if outcome.retry_after_s is None else _RETRIED


OWN: Mapping[type, Entry] = {
    Completed: _own(kind="complete", event=Event.MESSAGE_COMPLETED, build=_complete, diagnosis="complete"),
    Failed: _failed,
    Snooze: _own(
        kind="reschedule",
        event=Event.MESSAGE_SNOOZED,
        build=_reschedule,
        details=details,
        due_in_s=delay_s,
        diagnosis="reschedule",
    ),
    Released: _own(
        kind="reschedule", event=Event.MESSAGE_RELEASED, build=_reschedule, diagnosis="reschedule"
    ),
    Cancelled: _own(kind="cancel", event=Event.MESSAGE_CANCELLED, build=_cancel, diagnosis="cancel"),
    Parked: _own(kind="gate", event=Event.MESSAGE_PARKED, build=_park, diagnosis="gate"),
    Lost: _own(kind="close", event=Event.LEASE_LOST, build=_close, keeps_row=True, diagnosis="close"),
    Settled: _own(
        kind="close", event=Event.MESSAGE_COMPLETED, build=_close, keeps_row=True, diagnosis="close"
    ),
}
"""The ways to end that every worker has, by class of outcome."""
