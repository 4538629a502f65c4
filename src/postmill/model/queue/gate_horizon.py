"""What one worker knows of the gates of its queue, so that its claims need not look at gates that are gone.
Pure: it is told what polls and claims have shown.

An old transaction keeps dead rows from being removed. A claim that looked for the first message that waits,
or counted the places that are taken, would walk over all of them. Three bounds spare it that:

* ``since``: no gate that waits has a rank at or before it. * ``oldest``: no open claim has an id below it. *
``unseen``: each group of the gates of messages up to this id is known.

A bound must hold for what transactions in flight have written, and nothing shows yet. So it follows the late
lane's rule (:mod:`postmill.model.queue.cursor`): a writer that one look shows and the next one does not began
after the look before it was first seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from postmill.model.queue.cursor import LOWEST

if TYPE_CHECKING:
    from collections.abc import Iterable

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Before every rank: a gate's rank is never older than its table."""
ALL_AGAIN_S = 60.0
"""Seconds between two rounds that look at the gates of all ranks, in case that one was written in a way that
no bound covers. A minute: such a round costs what each claim would cost without the bounds.
"""
_BEFORE = timedelta(microseconds=1)
"""The shortest time that Postgres tells apart: a bound lies so far before the first rank that counts."""
_Mark = TypeVar("_Mark", int, datetime)


@dataclass(slots=True)
class Reach(Generic[_Mark]):
    """How far back transactions in flight may still show something, in ids or in times."""

    mark: _Mark
    """What begins after the last look lies above it."""
    ended: _Mark
    """What has ended since the look before the last one lies above it."""
    _writers: dict[str, _Mark] = field(default_factory=dict)

    def looked(self, mark: _Mark, writers: Iterable[str]) -> _Mark:
        """Take in a look. ``mark``: read before the set of writing transactions. Returns what everything that
        the look did not show lies above.
        """
        now_writing = set(writers)
        ended = [floor for writer, floor in self._writers.items() if writer not in now_writing]
        self._writers = {writer: self._writers.get(writer, self.mark) for writer in now_writing}
        self.ended = _lowest(self.mark, *ended)
        self.mark = mark if mark > self.mark else self.mark
        return _lowest(self.ended, *self._writers.values())


@dataclass(slots=True)
class GateHorizon:
    """The bounds. Made anew with the worker's cursor."""

    after_key: str = ""
    """The group that was looked at last."""
    since: datetime = LONG_AGO
    oldest: int = 0
    unseen: int = LOWEST
    _first_rank: datetime | None = None
    """The first rank that waits in the groups of this round so far; None: nothing waits."""
    _safe: datetime = LONG_AGO
    """As of the last look, gates that it did not show have later ranks."""
    _safe_at_start: datetime = LONG_AGO
    """The same when this round began."""
    _all_again_at: float = 0.0
    _ranks: Reach[datetime] = field(default_factory=lambda: Reach(LONG_AGO, LONG_AGO))
    _claims: Reach[int] = field(default_factory=lambda: Reach(0, 0))
    _ids: Reach[int] = field(default_factory=lambda: Reach(LOWEST, LOWEST))

    def looked(self, row: Any, last_claim_id: int) -> None:
        """Take in a poll of a gated queue. ``last_claim_id``: a claim that was made before it."""
        writers = row["writers"] or ()
        self._ids.looked(row["sequence"], writers)
        self.unseen = min(self.unseen, self._ids.ended)
        self._safe = self._ranks.looked(row["asked_at"], writers)
        open_claim = row["open_claim"]
        made_before = max(last_claim_id, open_claim or 0)
        above = self._claims.looked(made_before, row["claiming"] or ()) + 1
        self.oldest = max(self.oldest, above if open_claim is None else min(above, open_claim))

    def claimed(self, row: Any, now_s: float) -> None:
        """Take in a claim's account of the groups that it looked at."""
        self.after_key, self.unseen = row["last_key"], row["seen"]
        self._note(row["rank_ahead"])
        if not row["wrapped"]:
            return
        bounds = [rank for rank in (self._safe_at_start, self._first_rank) if rank is not None]
        self.since = max(LONG_AGO, min(bounds) - _BEFORE)
        if now_s >= self._all_again_at:
            self.since, self._all_again_at = LONG_AGO, now_s + ALL_AGAIN_S
        self._first_rank, self._safe_at_start = None, self._safe
        self._note(row["rank_behind"])

    def _note(self, rank: datetime | None) -> None:
        if rank is not None:
            self._first_rank = rank if self._first_rank is None else min(self._first_rank, rank)


def _lowest(lowest: _Mark, *marks: _Mark) -> _Mark:
    for mark in marks:
        lowest = min(lowest, mark)
    return lowest
