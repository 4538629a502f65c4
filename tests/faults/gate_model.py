"""What groups and limits are, in plain Python: rules that the SQL must follow, without locks or clocks.

Time stands still but for whole periods that pass. A message's place in its group is a number that grows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import NamedTuple

QUEUE = ""
"""Stands among the groups for the whole queue."""


class Where(Enum):
    """Where a message of the queue is."""

    PLAIN = "due in the plain lanes"
    WAITING = "waiting at its gate"
    RUNNING = "running"


class Limit(NamedTuple):
    """None: no limit."""

    max_running: int | None = None
    starts: int | None = None


NO_LIMIT = Limit()


@dataclass
class Row:
    """A message."""

    key: str
    where: Where
    rank: int = 0
    counted: bool = False
    """Its place was written down when it started: something counted places."""


@dataclass
class GateModel:
    """One queue."""

    rows: dict[int, Row] = field(default_factory=dict)
    queue: Limit = NO_LIMIT
    each: Limit = NO_LIMIT
    own: dict[str, Limit] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)
    """Starts in this period, as far as they were counted: where there was a rate."""
    _ranks: count[int] = field(default_factory=count)

    @property
    def limited(self) -> bool:
        """Whether each message has to wait for a place."""
        return self.queue != NO_LIMIT

    def sent(self, ids: list[int], key: str, *, by_us: bool) -> None:
        """Messages are in the queue. Those of another client are plain until they are seen."""
        for msg_id in ids:
            self.rows[msg_id] = Row(key, Where.PLAIN)
            if by_us and (key or self.limited):
                self.wait(msg_id)

    def wait(self, msg_id: int) -> None:
        """A message waits behind the others of its group."""
        self.rows[msg_id].where, self.rows[msg_id].rank = Where.WAITING, next(self._ranks)

    def plain(self, ids: list[int]) -> None:
        """Messages that ran uncounted, and whose worker is gone: they are due for everybody."""
        for msg_id in ids:
            self.rows[msg_id].where = Where.PLAIN

    def seen(self) -> tuple[set[int], set[int]]:
        """A worker takes what is due in the plain lanes: what it parks, and what it finishes."""
        plain = {msg_id for msg_id, row in self.rows.items() if row.where is Where.PLAIN}
        parked = {msg_id for msg_id in plain if self.limited or self.rows[msg_id].key}
        for msg_id in sorted(parked):
            self.wait(msg_id)
        for msg_id in plain - parked:
            del self.rows[msg_id]
        return parked, plain - parked

    def limit_of(self, key: str) -> Limit:
        """What holds for a group; those without a key have only the limits of the queue."""
        own = self.own.get(key, NO_LIMIT)
        if key == QUEUE:
            return NO_LIMIT
        return Limit(
            own.max_running if own.max_running is not None else self.each.max_running,
            own.starts if own.starts is not None else self.each.starts,
        )

    def running(self, key: str | None = None) -> int:
        """How many run; of one group."""
        return sum(
            row.where is Where.RUNNING and (key is None or row.key == key) for row in self.rows.values()
        )

    def waiting(self, key: str) -> list[int]:
        """The messages of a group, in their order."""
        ranks = {
            row.rank: msg_id
            for msg_id, row in self.rows.items()
            if row.where is Where.WAITING and row.key == key
        }
        return [ranks[rank] for rank in sorted(ranks)]

    def startable(self) -> tuple[dict[str, list[int]], int]:
        """By group what may start, in order; and how many of them all the queue allows."""
        groups = {}
        for key in {row.key for row in self.rows.values()}:
            may = self.waiting(key)
            groups[key] = may[: _free(self.limit_of(key), self.running(key), self.started.get(key, 0))]
        return groups, _free(self.queue, self.running(), self.started.get(QUEUE, 0))

    def start(self, ids: list[int]) -> None:
        """These run now."""
        limits = (self.queue, self.each, *self.own.values())
        counted = any(limit.max_running is not None for limit in limits)
        for msg_id in ids:
            row = self.rows[msg_id]
            row.where, row.counted = Where.RUNNING, counted
            for key, limit in ((row.key, self.limit_of(row.key)), (QUEUE, self.queue)):
                if limit.starts is not None:
                    self.started[key] = self.started.get(key, 0) + 1

    def period_passes(self) -> None:
        """Every start is older than the rates ask for."""
        self.started.clear()


def _free(limit: Limit, running: int, started: int) -> int:
    places = 1_000_000 if limit.max_running is None else limit.max_running - running
    starts = 1_000_000 if limit.starts is None else limit.starts - started
    return max(0, min(places, starts))
