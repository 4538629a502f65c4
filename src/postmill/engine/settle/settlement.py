"""From outcomes to statements: which messages go into which statement, with which arguments. Builds; executes
nothing.

Within a statement messages stand in order of id, so that every statement locks rows in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from postmill.model.events import Event
from postmill.model.queue.outcome import (
    Cancelled,
    Completed,
    Failed,
    Lost,
    Outcome,
    Released,
    Settled,
    Snooze,
)
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from uuid import UUID

    from postmill.model.queue.message import Message
    from postmill.model.queue.queue_name import QueueShape

Pair = tuple["Message", "Outcome"]


@dataclass(slots=True)
class Settlement:
    """One statement's worth of messages that end the same way."""

    kind: str
    event: Event
    pairs: list[Pair]
    finished: list[int]
    """Receipts that are closed with this."""
    touched: list[int]
    """Receipts that lose these messages and stay."""
    sent_vts: list[int] = field(default_factory=list)
    """The tokens' vt as they were sent: a renewal may move the messages' own while the statement runs."""
    new_session: bool = False
    """It is sent on a session that was opened for it: what a handler did to the last one plays no part."""
    trial: bool = False
    """It was refused before and kept since: one row, sent to see whether it is taken now."""
    explained: bool = False
    """Its dead messages know their last failure."""
    waits: int = 0
    """How often it waited in vain for a lock."""

    @property
    def messages(self) -> list[Message]:
        """The messages, in order of id."""
        return [message for message, _ in self.pairs]

    @property
    def uncertain(self) -> bool:
        """Some of it was sent before, and no answer came: it may have landed."""
        return any(message.unanswered for message, _ in self.pairs)

    def halves(self) -> tuple[list[Pair], list[Pair]]:
        """Its messages in two parts, to find the one that a statement can't take."""
        middle = len(self.pairs) // 2
        return self.pairs[:middle], self.pairs[middle:]


def attempts_of(message: Message, outcome: Failed) -> int:
    """How many attempts of a dead message failed. One that was not run again has no attempt of its own."""
    return message.attempt if outcome.kind else message.failures


_KINDS: dict[type, tuple[str, Event]] = {
    Completed: ("complete", Event.MESSAGE_COMPLETED),
    Snooze: ("reschedule", Event.MESSAGE_SNOOZED),
    Released: ("reschedule", Event.MESSAGE_RELEASED),
    Cancelled: ("cancel", Event.MESSAGE_CANCELLED),
    Lost: ("close", Event.LEASE_LOST),
    Settled: ("close", Event.MESSAGE_COMPLETED),
}


def kind_of(outcome: Outcome) -> tuple[str, Event]:
    """The statement that settles an outcome, and the event that follows. Subclasses are settled as what they
    extend; those of the engine's own classes, which nearly all are, are found without a search.
    """
    known = _KINDS.get(type(outcome))
    if known is not None:
        return known
    for extended, settled_by in _KINDS.items():
        if isinstance(outcome, extended):
            return settled_by
    if isinstance(outcome, Failed):
        if outcome.retry_after_s is None:
            return "dead_letter", Event.MESSAGE_DEAD
        return "reschedule", Event.MESSAGE_RETRYING
    raise TypeError(f"{type(outcome).__name__} is no outcome: the executor makes one of what ends an attempt")


def grouped(
    pairs: Iterable[Pair], closing: Callable[[Iterable[Message]], tuple[list[int], list[int]]]
) -> Iterator[Settlement]:
    """Settlements for ``pairs``: one a kind and event. Receipts are counted off through ``closing`` when the
    turn of each comes, so that one that was refused before is not counted.
    """
    groups: dict[tuple[str, Event], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(kind_of(pair[1]), []).append(pair)
    for (kind, event), group in groups.items():
        for members in _distinct(group):
            members.sort(key=lambda pair: pair[0].msg_id)
            finished, touched = closing(message for message, _ in members)
            yield Settlement(kind, event, members, finished, touched)


def _distinct(pairs: list[Pair]) -> Iterator[list[Pair]]:
    """``pairs`` so that no id is twice in one statement, which tells messages by id. A worker that lost a
    message and claimed it again can hold two ends of it at once.
    """
    while pairs:
        if len({pair[0].msg_id for pair in pairs}) == len(pairs):
            yield pairs
            return
        first = {pair[0].msg_id: pair for pair in reversed(pairs)}
        yield list(first.values())
        pairs = [pair for pair in pairs if first[pair[0].msg_id] is not pair]


class Statements:
    """The statements of one queue for one worker."""

    def __init__(self, shape: QueueShape, worker_id: UUID, *, archive: bool, keep_results: bool) -> None:
        self.shape = shape
        self._worker_id = worker_id
        self.archive = archive
        self._keep_results = keep_results
        self._builders: dict[str, Callable[[Settlement], tuple[str, tuple[Any, ...]]]] = {
            "complete": self._complete,
            "reschedule": self._reschedule,
            "dead_letter": self._dead_letter,
            "cancel": self._cancel,
            "close": self._close,
        }

    @property
    def complete_flags(self) -> tuple[str, ...]:
        """Optional lines of the completing statement: the queue's columns may come and go while it runs."""
        return completion_flags(self.shape, archive=self.archive)

    def call(self, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
        """The text and the arguments for a settlement."""
        return self._builders[settlement.kind](settlement)

    def _complete(self, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
        arguments = (*map(array_literal, _tokens(settlement)), settlement.finished)
        if not self._keep_results:
            return queue_statement("complete", self.shape, *self.complete_flags), arguments
        results = [_result(outcome) for _, outcome in settlement.pairs]
        text = queue_statement("complete", self.shape, *self.complete_flags, "results")
        return text, (*arguments, self.shape.name, results)

    def _reschedule(self, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
        delays = [delay_s(outcome) for _, outcome in settlement.pairs]
        return queue_statement("reschedule", self.shape), (
            *_held(settlement),
            delays,
            self.shape.name,
            self._worker_id,
            *_failures(settlement),
        )

    def _dead_letter(self, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
        reasons = [outcome.reason for _, outcome in settlement.pairs if isinstance(outcome, Failed)]
        attempts = [
            attempts_of(message, outcome)
            for message, outcome in settlement.pairs
            if isinstance(outcome, Failed)
        ]
        again = ([message.enqueued_us for message in settlement.messages],) if settlement.uncertain else ()
        return queue_statement("dead_letter", self.shape, *(("again",) if again else ())), (
            *_held(settlement),
            reasons,
            self.shape.name,
            self._worker_id,
            *_failures(settlement),
            attempts,
            *again,
        )

    def _cancel(self, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
        return queue_statement("cancel_running", self.shape), (*_held(settlement), self.shape.name)

    def _close(self, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
        lost = [message for message, outcome in settlement.pairs if isinstance(outcome, Lost)]
        results = [_result(outcome) for _, outcome in settlement.pairs]
        flags = ("results",) if any(result is not None for result in results) else ()
        return statement("close_receipts", *flags), (
            [message.msg_id for message in settlement.messages],
            settlement.finished,
            settlement.touched,
            self.shape.name,
            self._worker_id,
            [message.msg_id for message in lost if message.started],
            [message.attempt for message in lost if message.started],
            [message.claim.claim_id for message in lost if message.started],
            *((results,) if flags else ()),
        )


def completion_flags(shape: QueueShape, *, archive: bool) -> tuple[str, ...]:
    """The optional lines of the completing statement for this queue's columns."""
    if not archive:
        return ()
    flags = ["archive"]
    if shape.has_headers and shape.archive_has_headers:
        flags.append("archive_headers")
    if shape.has_last_read_at and shape.archive_has_last_read_at:
        flags.append("archive_last_read_at")
    return tuple(flags)


def array_literal(numbers: Iterable[int]) -> str:
    """The text of a PostgreSQL array."""
    return "{" + ",".join(map(str, numbers)) + "}"


def _tokens(settlement: Settlement) -> tuple[list[int], list[int], list[int]]:
    messages = settlement.messages
    settlement.sent_vts = [message.vt_us for message in messages]
    return (
        [message.msg_id for message in messages],
        [message.read_ct for message in messages],
        settlement.sent_vts,
    )


def _held(settlement: Settlement) -> tuple[list[int], ...]:
    """Tokens and receipts in the order of the statements that share ``settled_receipts``."""
    ids, read_cts, vts = _tokens(settlement)
    return ids, settlement.finished, settlement.touched, read_cts, vts


def _failures(settlement: Settlement) -> tuple[list[Any], ...]:
    """The columns of the records of failed attempts: null where there was none."""
    rows = [_failure(message, outcome) for message, outcome in settlement.pairs]
    return tuple([row[column] for row in rows] for column in range(6))


def _failure(message: Message, outcome: Outcome) -> tuple[Any, ...]:
    if not isinstance(outcome, Failed):
        return (None,) * 6
    if not outcome.kind:  # not run again: no attempt to record, but its last one stands in the letter
        return (None, None, outcome.error_type or None, None, outcome.traceback, None)
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
