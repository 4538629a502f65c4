"""What follows when the database refuses to write an outcome down. Pure: no driver, no clock.

Three causes are told apart, because they end differently. A refusal that follows the row (its data, a
constraint, a trigger) would come again for ever: the row is given a weaker outcome until one is taken. A
refusal that every row of the queue meets (a right, a table) is an outage of that queue: outcomes are kept. A
lock that another transaction holds is temporary.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from postmill.model.queue.outcome import COMPLETED, SETTLED, Cancelled, Completed, Failed, Settled, Snooze
from postmill.model.sqlstates import Condition, concerns_the_row, condition, meets_every_row, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from postmill.model.queue.outcome import Outcome

SUSPECTS = 2
"""When this many different rows are refused alike, with none accepted in between, the queue is at fault. A
single row may be an odd one; two are no coincidence.
"""
TRIES = 8
"""A single row that was refused this many times is judged alone. With the growing waits between tries, eight
take about two minutes: long enough for a right that was taken away by mistake to come back.
"""
PUT_OFF_S = 86_400.0
"""Seconds until a message that can neither be finished nor moved to the dead letters is tried again. A day:
seldom enough to cost nothing, often enough to be found in the log.
"""

UNCOUNTED = "its failed attempts can't be recorded, so they can't be counted"
"""Why a message is dead whose next attempt would be one of any number."""


class Cause(Enum):
    """Why a settlement was refused, as far as its SQLSTATE tells."""

    ROW = auto()
    """The row's data, a constraint or a trigger."""
    UNCLEAR = auto()
    """A right, a table, a column, or anything else that may meet one row or all."""
    LOCKED = auto()
    """A wait for a lock, or the statement, took longer than a setting allows."""


def cause_of(sqlstate: str) -> Cause:
    """The cause behind a SQLSTATE. Empty: the driver could not even send the row's data."""
    if condition(sqlstate) is Condition.TIMED_OUT:
        return Cause.LOCKED
    return Cause.ROW if not sqlstate or concerns_the_row(sqlstate) else Cause.UNCLEAR


def cause_behind(error: BaseException) -> Cause:
    """The cause of a refusal, as far as the whole of the server's report tells."""
    return Cause.UNCLEAR if meets_every_row(error) else cause_of(state_of(error))


class Verdict(Enum):
    """What an unclear refusal of a single row turns out to be."""

    ROW = auto()
    """It follows the row."""
    HOLD = auto()
    """Not known yet: the outcome is kept and tried again."""
    QUEUE = auto()
    """It meets every row of the queue."""


REMEMBERED = 1000
"""The most rows that are remembered as odd, and judged at once when they come again. Of more than 1,000 the
oldest are forgotten, so that a producer of broken messages does not fill memory.
"""


@dataclass(slots=True)
class _Suspect:
    accepted_before: int
    tries: int = 0
    odd: bool = False


@dataclass(slots=True)
class Acceptance:
    """Whether a queue takes settlements of one kind, judged by what single rows met."""

    refusing: bool = False
    """Every row is refused: nothing is sent but one row at a time, to see whether that is over."""
    _accepted: int = 0
    _suspects: dict[int, _Suspect] = field(default_factory=dict)

    def accepted(self, ids: Iterable[int]) -> bool:
        """Rows were settled. Returns whether that ends a refusal of the whole queue."""
        was_refusing, self.refusing = self.refusing, False
        for msg_id in ids:
            self._accepted += 1
            self._suspects.pop(msg_id, None)
        return was_refusing

    def refused(self, msg_id: int, *, lacking: bool, patient: bool = False) -> Verdict:
        """One row, sent alone, was refused for an unclear reason. ``lacking``: the catalogue shows that a
        table or a right is missing, which every row meets. ``patient``: the reason would pass by itself, so
        that others are accepted does not yet show that it is the row.
        """
        suspect = self._suspects.setdefault(msg_id, _Suspect(self._accepted))
        suspect.tries += 1
        if lacking:
            return self.refuses_all()
        is_alone = suspect.accepted_before < self._accepted and not patient
        if suspect.odd or is_alone or suspect.tries >= TRIES:
            suspect.odd = not patient
            if len(self._suspects) > REMEMBERED:
                del self._suspects[next(iter(self._suspects))]
            return Verdict.ROW
        return self.refuses_all() if self._alike() >= SUSPECTS else Verdict.HOLD

    def _alike(self) -> int:
        """Rows that were refused since the last one was accepted."""
        return sum(
            1
            for suspect in self._suspects.values()
            if not suspect.odd and suspect.accepted_before == self._accepted
        )

    def refuses_all(self) -> Verdict:
        """It is the queue."""
        self.refusing = True
        return Verdict.QUEUE


def weakened(outcome: Outcome, failed: Callable[[], Failed]) -> Outcome | None:
    """What to try in place of an outcome that was refused for its row's sake; None: there is nothing weaker.

    Each answer asks less of the database than the one before, so the ladder has an end: without the result,
    as a failed attempt (``failed`` makes it, under the retry policy), in plain ASCII, put off for
    :data:`PUT_OFF_S` in place of a dead letter, dead without a record, since attempts that leave none are not
    counted, and at last put off without a record.
    """
    match outcome:
        case Completed(result=result) if result is not None:
            return COMPLETED
        case Settled(result=result) if result is not None:
            return SETTLED
        case Completed() | Cancelled() | Snooze():
            return failed()
        case Failed():
            return _weaker_failure(outcome)
    return None


def _weaker_failure(failure: Failed) -> Failed | None:
    plain = in_plain_text(failure)
    if plain != failure:
        return plain
    if failure.retry_after_s is None:
        return replace(failure, retry_after_s=PUT_OFF_S)
    if failure.kind:
        return replace(failure, kind="", retry_after_s=None, reason=failure.reason or UNCOUNTED)
    return None


def in_plain_text(failure: Failed) -> Failed:
    """The same failure with texts that every encoding of a database has; other characters are escaped."""
    return replace(
        failure,
        error_type=_ascii(failure.error_type),
        error_message=_ascii(failure.error_message),
        traceback=None if failure.traceback is None else _ascii(failure.traceback),
        reason=_ascii(failure.reason),
    )


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")
