"""What the log says of settlements: one event a message, with what is worth knowing of its outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.engine.settle.settlement import attempts_of
from postmill.model.events import Event
from postmill.model.queue.outcome import Failed, Outcome, Snooze
from postmill.model.queue.refusal import PUT_OFF_S

if TYPE_CHECKING:
    from postmill.engine.settle.settlement import Settlement
    from postmill.model.queue.message import Message
    from postmill.service.events import Events

_WITH_DETAILS = frozenset({Event.MESSAGE_RETRYING, Event.MESSAGE_DEAD, Event.MESSAGE_SNOOZED})


def report(events: Events, settlement: Settlement, landed: list[Message]) -> None:
    """Say how these messages of a settlement ended."""
    if settlement.event not in _WITH_DETAILS:
        events.emit_each(settlement.event, landed)
        return
    ids = {message.msg_id for message in landed}
    for message, outcome in settlement.pairs:
        if message.msg_id in ids:
            fields = details(outcome)
            if isinstance(outcome, Failed):
                fields["attempt"] = attempts_of(message, outcome)
            events.emit_each(settlement.event, [message], **fields)


def follows(weaker: Outcome | None) -> str:
    """In words, what is tried in place of a refused outcome."""
    match weaker:
        case None:
            return "it is left to the end of its lease"
        case Failed(retry_after_s=None):
            return "a dead letter"
        case Failed(retry_after_s=delay_s) if delay_s == PUT_OFF_S:
            return "put off for a day"
    return "another attempt"


def details(outcome: Outcome) -> dict[str, Any]:
    """The event's own fields."""
    match outcome:
        case Failed(retry_after_s=None):
            return {"kind": outcome.kind or "exhausted", "reason": outcome.reason, "error": _error(outcome)}
        case Failed(retry_after_s=delay_s):
            return {"in_s": round(delay_s or 0.0, 1), "kind": outcome.kind, "error": _error(outcome)}
        case Snooze():
            return {"in_s": outcome.after_s}
    return {}


def _error(failure: Failed) -> str:
    """The failure in a line of the log, cut to what fits there."""
    named = f"{failure.error_type}: " if failure.error_type else ""
    return f"{named}{failure.error_message}"[:300]
