"""Adds up in memory what one worker's messages have come to, for the table ``minutes``. One call a batch of
settled messages; nothing is written here.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from postmill.model.events import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.model.queue.message import Message

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_COMPLETED = frozenset({Event.MESSAGE_COMPLETED})
_DEAD = frozenset({Event.MESSAGE_DEAD, Event.STEP_FAILED, Event.RUN_FAILED})
_FAILED = _DEAD | {Event.MESSAGE_RETRYING}
_ENDED = (
    _COMPLETED
    | _FAILED
    | {
        Event.MESSAGE_SNOOZED,
        Event.MESSAGE_CANCELLED,
        Event.MESSAGE_RELEASED,
        Event.STEP_DROPPED,
        Event.STEP_HELD,
        Event.RUN_PARKED,
    }
)
"""The events of an attempt whose outcome has been written; a lost lease has none."""


class Sums(NamedTuple):
    """What is added to one row; its columns say what each is."""

    started: int = 0
    completed: int = 0
    failed: int = 0
    dead: int = 0
    ran_us: int = 0
    waited_us: int = 0


class Batch(NamedTuple):
    """Sums on their way to the database."""

    number: int
    """One more than that of the batch before: the database takes each once."""
    started: int
    completed: int
    failed: int
    dead: int
    ran_ms: int
    waited_ms: int


class MinuteSums:
    """The sums of one worker since its start, and how much of them is written.

    The event loop adds; the heartbeat's thread takes. The sums are replaced whole and only grow, so there is
    no lock: what comes a moment too late is in the next batch.
    """

    def __init__(self) -> None:
        self._sums = self._taken = Sums()
        self._open: Batch | None = None
        self._number = 0

    def count(self, event: Event, messages: Sequence[Message]) -> None:
        """Take note of an event of each of ``messages``; most events say nothing here."""
        if event not in _ENDED or not messages:
            return
        begun = [message for message in messages if message.started]
        fresh = [message for message in begun if message.read_ct == 1]
        ran = begun if event in _COMPLETED or event in _FAILED else []
        sums = self._sums
        self._sums = Sums(
            sums.started + len(fresh),
            sums.completed + (len(messages) if event in _COMPLETED else 0),
            sums.failed + (len(begun) if event in _FAILED else 0),
            sums.dead + (len(messages) if event in _DEAD else 0),
            sums.ran_us + _ran_us(ran),
            sums.waited_us + _waited_us(fresh),
        )

    def batch(self) -> Batch | None:
        """What is to be written: first the batch whose answer never came, with the same number; None when
        there is nothing.
        """
        sums = self._sums
        if self._open is None and sums != self._taken:
            self._number += 1
            taken = self._taken
            self._open = Batch(
                self._number,
                *(now - before for now, before in zip(sums[:4], taken[:4], strict=True)),
                # Of the sums, not of their difference: so fractions are not lost.
                *(now // 1000 - before // 1000 for now, before in zip(sums[4:], taken[4:], strict=True)),
            )
            self._taken = sums
        return self._open

    def written(self) -> None:
        """The batch is in the database."""
        self._open = None


def _ran_us(messages: Sequence[Message]) -> int:
    began = sum([message.started for message in messages])
    return int((time.monotonic() * len(messages) - began) * 1_000_000)


def _waited_us(messages: Sequence[Message]) -> int:
    """From sending to claim, both by the server's clock. A batch has few claims, and most often one."""
    unit = timedelta(microseconds=1)
    claims = {message.claim for message in messages}
    counts = Counter([message.claim for message in messages]) if len(claims) > 1 else {}
    claimed = sum((claim.claimed_at - _EPOCH) // unit * counts.get(claim, len(messages)) for claim in claims)
    return max(0, claimed - sum([message.enqueued_us for message in messages]))
