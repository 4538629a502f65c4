"""A worker's position in a queue, and the ranges of ids that it must look at again. Pure: it is told what was
seen, and asked where to look.

Four lanes, each with its own edge:

* **fast**: ids above ``position``, in order. Dead rows behind it cost nothing. * **due**: what lies behind
``position`` and falls due by time (retries, delayed messages, expired leases), in order of ``vt`` above
``due_after``. ``OVERLAP`` covers writes whose ``vt`` was taken a moment before they were committed. *
**late**: ids are taken before commit, so a slow transaction's messages appear behind ``position``. Exact: a
writer seen at one look and gone at the next can have used ids above the sequence's value at the look before
it was first seen, and no others. * **patrol**: the safety net, two walks (:mod:`postmill.model.queue.patrol`)
for messages that the other lanes can't know of: another client's ``set_vt`` into the past, its read that was
rolled back, a row that a transaction had locked when a claim came by. The near one goes from ``floor`` to
``position``. The far one goes through the ids up to ``floor``, below which no message should be alive: rows
may be put in with old ids.

A cursor belongs to one table in one history of one server. In another history ids that it has passed may be
given out again, so a new cursor begins at the position that this history's database has recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from postmill.model.queue.patrol import FAR_PERIOD_S, Walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

OVERLAP = timedelta(seconds=1)
"""The due lane looks this far back. A statement takes its ``vt`` from the clock and commits a moment later; a
second is far more than that takes.
"""
LOWEST = -(2**63)
"""The smallest ``bigint``: no id lies below it."""


@dataclass(slots=True)
class Cursor:
    """The state of one queue in one worker's memory. Made anew when it does not :meth:`fit` any more."""

    position: int
    """Fast lane: every id at or below it was seen."""
    due_after: datetime
    """Due lane: everything behind ``position`` with a ``vt`` at or before this was seen."""
    floor: int = 0
    """No message is alive at or below this id, as far as both walks have seen."""
    history: str = ""
    """The history of the server and the table when this cursor was made."""
    sequence: int = 0
    """The last id given out, as of the last look."""
    writers: dict[str, int] = field(default_factory=dict)
    """Transactions that hold a write lock on the table -> the id above which theirs lie."""
    near: Walk = field(default_factory=Walk)
    far: Walk = field(default_factory=lambda: Walk(period_s=FAR_PERIOD_S))
    _unbroken: int = 0
    """Every id up to here was claimed by this worker, or is settled for good: nothing can appear behind."""
    _late: tuple[int, int] | None = None

    @classmethod
    def at(cls, hint: int, now: datetime, history: str = "") -> Cursor:
        """A new worker's cursor: no message is alive at or below ``hint``, and every message that it passes
        falls due after ``now``.
        """
        return cls(
            position=hint,
            due_after=now - OVERLAP,
            floor=hint,
            history=history,
            sequence=hint,
            _unbroken=hint,
        )

    def fits(self, history: str, sequence: int) -> bool:
        """Whether the result of a poll is of the same history. Within one history the last id given out never
        goes back.
        """
        return history == self.history and sequence >= self.sequence

    def claimed(self, ids: Sequence[int]) -> None:
        """Take in the messages that the fast lane gave."""
        if not ids:
            return
        lowest, highest = min(ids), max(ids)
        if lowest == self._unbroken + 1 and highest - self._unbroken == len(ids):
            self._unbroken = highest
        self.position = max(self.position, highest)

    def drained(self, up_to: int | None = None) -> None:
        """The fast lane has seen all that was visible up to and with an id, or up to the last id given out:
        what is left there is not due. Ids that a writer may still commit stay ahead: a large transaction is
        then claimed in order.
        """
        self.position = max(self.position, self.safe if up_to is None else min(self.safe, up_to))

    def due_seen(self, now: datetime) -> None:
        """The due lane has seen all that was due at ``now`` (the server's clock)."""
        self.due_after = max(self.due_after, now - OVERLAP)

    def looked(self, sequence: int, writers: Iterable[str]) -> None:
        """Take in the last id given out, read BEFORE the set of writing transactions."""
        now_writing = set(writers)
        ended = [floor for writer, floor in self.writers.items() if writer not in now_writing]
        lowest = max(self._unbroken, min([self.sequence, *ended]))
        self.writers = {writer: self.writers.get(writer, self.sequence) for writer in now_writing}
        self.sequence = max(self.sequence, sequence)
        if lowest < self.position:
            self._late = (min(lowest, self._late[0]) if self._late else lowest, self.position)

    @property
    def late_range(self) -> tuple[int, int] | None:
        """Ids ``(above, up to)`` in which messages may have appeared behind the fast lane; None when there
        are none.
        """
        return self._late

    def late_seen(self, looked_range: tuple[int, int]) -> None:
        """Note that the late range was looked through to its end."""
        if self._late == looked_range:
            self._late = None
            self._unbroken = max(self._unbroken, min(looked_range[1], self.safe))

    def late_claimed(self, looked_range: tuple[int, int], ids: Sequence[int]) -> None:
        """The late range gave these messages, the lowest that were due in it, and there may be more: what
        lies beyond them is left. What becomes visible below them from now on had its writer in flight at the
        last look, or that writer began after it: the next look lowers the range to it either way.
        """
        if ids and self._late == looked_range:
            self._late = (max(ids), looked_range[1])

    @property
    def safe(self) -> int:
        """No transaction in flight can still show an id at or below this."""
        return min([self.sequence, *self.writers.values()])

    def next_step(self, walk: Walk, now_s: float) -> tuple[int, int] | None:
        """The next step of one of the two walks, as ids ``(above, up to)``; None when it is too early."""
        start, end = (self.floor, self.position) if walk is self.near else (LOWEST, self.floor)
        return walk.next_step(start, end, now_s)

    @property
    def patrolling(self) -> bool:
        """Whether a round of a walk has begun and not ended."""
        return self.near.under_way or self.far.under_way

    def patrolled(self, step: tuple[int, int], *, alive: bool) -> None:
        """Note that a step was looked through, and whether any message is alive in it."""
        above, up_to = step
        if alive:
            self.floor = min(self.floor, max(0, above))
        elif above == self.floor and up_to <= self.safe:
            self.floor = up_to
