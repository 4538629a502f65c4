"""How far a worker has come in each band of a queue with priorities: band 9 is that of the messages of
priority 9. Pure: it is told what was seen, and asked where to look.

The messages of a band are claimed in order of ``(vt, msg_id)``, above an edge, so dead rows behind it cost
nothing. The edge assumes that nothing appears behind it. That holds for new messages, retries, delayed
messages and leases that expire, because all of them have a ``vt`` that is later than the claims before. It
does not hold in four cases:

* A statement takes its ``vt`` from the clock and commits a moment later. The edge stays ``OVERLAP`` behind
  the clock.
* A transaction commits long after its ``vt``. Each poll returns the transactions that write to the queue.
  When one has ended, the edges go back to the poll before it was first seen. They go back to the last poll
  in any case: transactions may have come and gone since.
* The server's clock was set back. The edges follow it at the next poll.
* A message was locked when a claim came by, and still has its old ``vt`` when the lock is gone; or another
  client has set a ``vt`` in the past. From time to time the bands are looked through from their beginning.

No message depends on this: the plain lanes (:mod:`postmill.model.queue.cursor`) see all messages, whatever
their priority. A message that a band overlooks is served by them, as one of priority 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from postmill.model.queue.cursor import LOWEST, OVERLAP

if TYPE_CHECKING:
    from collections.abc import Iterable

HIGHEST = 9
"""The highest priority. The first character of the header is the priority, so there are ten with 0."""
REVISIT_S = 4.5
"""Seconds between two looks at the bands from their beginning. As often as the patrol begins a round behind
the plain lanes (``model.queue.patrol.PERIOD_S``).
"""
REVISIT_SHARE = 1_000
"""A look from the beginning is followed by a pause 1,000 times as long: while an old transaction keeps the
dead rows of a band, that look reads all of them, and may use a thousandth of the worker's time.
"""

Edge: TypeAlias = tuple[datetime, int]
"""A ``vt`` and an id: everything of the band up to there was seen."""

BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
"""Before every ``vt`` that a client would write. A day after Python's first, so that ``OVERLAP`` can be taken
off.
"""


def _beginnings() -> dict[int, Edge]:
    return dict.fromkeys(range(1, HIGHEST + 1), (BEGINNING, LOWEST))


@dataclass(slots=True)
class BandEdges:
    """The edges of all bands of one queue in one worker's memory. Made anew with the cursor."""

    edges: dict[int, Edge] = field(default_factory=_beginnings)
    writers: dict[str, datetime] = field(default_factory=dict)
    """Transactions that hold a write lock on the table -> the time after which each has begun to write."""
    _looked_at: datetime = BEGINNING
    _revisit_s: float | None = None

    @property
    def vts(self) -> list[datetime]:
        """The times of all edges, that of priority 1 first."""
        return [vt for vt, _ in self.edges.values()]

    @property
    def ids(self) -> list[int]:
        """The ids of all edges, that of priority 1 first."""
        return [msg_id for _, msg_id in self.edges.values()]

    def seen(self, priority: int, up_to: Edge, now: datetime) -> None:
        """Every message of the band up to and with ``up_to`` was seen at ``now`` (the server's clock)."""
        self.edges[priority] = max(self.edges[priority], min(up_to, (now - OVERLAP, LOWEST)))

    def seen_all(self, priority: int, now: datetime) -> None:
        """Every message of the band that was due at ``now`` was seen."""
        self.seen(priority, (now, LOWEST), now)

    def looked(self, now: datetime, writers: Iterable[str]) -> None:
        """Take in a poll: the server's clock, and the transactions that write to the queue. What they have
        written may become visible from then on.
        """
        now_writing = set(writers)
        ended = [since for writer, since in self.writers.items() if writer not in now_writing]
        self._back_to(min([self._looked_at, now, *ended]))
        self.writers = {writer: self.writers.get(writer, self._looked_at) for writer in now_writing}
        self._looked_at = now

    def revisit(self, now_s: float) -> bool:
        """Go back to the beginning of all bands if it is time for that, by the monotonic clock."""
        if self._revisit_s is None:
            self._revisit_s = now_s + REVISIT_S
        if now_s < self._revisit_s:
            return False
        self._back_to(BEGINNING)
        return True

    def revisited(self, took_s: float, now_s: float) -> None:
        """A look from the beginning took ``took_s`` seconds."""
        self._revisit_s = now_s + max(REVISIT_S, took_s * REVISIT_SHARE)

    def _back_to(self, moment: datetime) -> None:
        """Look at everything again that may have been written after ``moment``."""
        lowest = (max(BEGINNING, moment) - OVERLAP, LOWEST)
        self.edges = {priority: min(edge, lowest) for priority, edge in self.edges.items()}
