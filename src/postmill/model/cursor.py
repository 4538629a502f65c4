"""Where a worker has got to in a queue, and which ranges it must look at again. Pure: told what was seen,
asked where to look.

Four lanes, each with its own edge:

* **fast**: ids above ``position``, in order. Dead rows behind it cost nothing.
* **due**: what lies behind ``position`` and falls due by time (retries, delayed messages, expired leases), in
order of ``vt``
  above ``due_after``. ``OVERLAP`` covers writes whose ``vt`` was taken a moment before they were committed.
* **late**: ids are taken before commit, so a slow transaction's messages appear behind ``position``. Exact: a
writer seen at one
  look and gone at the next can have used ids above the sequence's value at the look before it was first seen,
  and no others.
* **patrol**: the safety net. It walks all ids from ``floor`` to ``position`` again and again, in steps whose
size follows
  their cost, and so finds whatever the other lanes could not know of (another client's ``set_vt`` into the
  past).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

OVERLAP = timedelta(seconds=1)
_STEP_MIN, _STEP_MAX = 1_000, 1_000_000
_STEP_CHEAP_S, _STEP_DEAR_S = 0.002, 0.010


@dataclass(slots=True)
class Cursor:
    """The state of one queue in one worker's memory. Made anew when the queue's table is another one."""

    position: int
    """Fast lane: every id at or below it was seen."""
    due_after: datetime
    """Due lane: everything behind ``position`` with a ``vt`` at or before this was seen."""
    floor: int = 0
    """No message is alive at or below this id."""
    sequence: int = 0
    """The last id given out, as of the last look."""
    writers: dict[str, int] = field(default_factory=dict)
    """Transactions that hold a write lock on the table -> the id above which theirs lie."""
    patrol_at: int = 0
    patrol_step: int = 20_000
    _unbroken: int = 0
    """Every id up to here was claimed by this worker, or is settled for good: nothing can appear behind."""
    _late: tuple[int, int] | None = None

    @classmethod
    def at(cls, hint: int, now: datetime) -> Cursor:
        """A new worker's cursor: nothing is alive at or below ``hint``, and whatever it passes falls due
        after ``now``.
        """
        return cls(
            position=hint, due_after=now - OVERLAP, floor=hint, sequence=hint, patrol_at=hint, _unbroken=hint
        )

    def claimed(self, ids: Sequence[int]) -> None:
        """The fast lane gave these messages."""
        if not ids:
            return
        lowest, highest = min(ids), max(ids)
        if lowest == self._unbroken + 1 and highest - self._unbroken == len(ids):
            self._unbroken = highest
        self.position = max(self.position, highest)

    def drained(self) -> None:
        """The fast lane has seen all that was visible: what is left up to the last id given out is not due.
        Ids that a writer may still commit stay ahead: a large transaction is then claimed in order.
        """
        self.position = max(self.position, self.safe)

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
        """The late range was looked through to its end."""
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

    @property
    def patrol_range(self) -> tuple[int, int] | None:
        """The patrol's next step as ids ``(above, up to)``; None when nothing lies behind the fast lane."""
        start = self.patrol_at if self.floor <= self.patrol_at < self.position else self.floor
        end = min(start + self.patrol_step, self.position)
        return (start, end) if end > start else None

    def patrolled(self, step: tuple[int, int], *, alive: bool, exhausted: bool, elapsed_s: float) -> None:
        """A step was looked through: whether any message is alive in it, whether all that was due was taken,
        and its cost.
        """
        above, up_to = step
        if not exhausted:
            return
        self.patrol_at = up_to
        if not alive and above == self.floor and up_to <= self.safe:
            self.floor = up_to
        if elapsed_s < _STEP_CHEAP_S:
            self.patrol_step = min(_STEP_MAX, self.patrol_step * 2)
        elif elapsed_s > _STEP_DEAR_S:
            self.patrol_step = max(_STEP_MIN, self.patrol_step // 2)
