"""What ``postmill top`` shows at one moment: rows that were read, and rates between two readings. Shows
nothing itself.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from postmill.db.reads import failures, limits, overview, workers
from postmill.db.tools import calls, schedules
from postmill.model.databases.naming import queue_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.db.tools.connect import Connection

MAX_QUEUES = 100
"""The most queues that are read for one frame, those in which most goes on. 100: a terminal shows fewer, and
of thousands each frame would take seconds.
"""
MAX_WORKERS = 50
"""The most workers that are read for one frame. 50: no terminal has room for more lines below the queues."""
MAX_GROUPS = 20
"""The most groups that are read for one frame. 20: with more of them at their limits, ``postmill.limits`` is
the place to look.
"""
MAX_SCHEDULES = 10
"""The most schedules that are read for one frame. 10: those with trouble come first, then the next ticks."""
MAX_FAILURES = 10
"""The most failures that are read for one frame. 10: they stand below the workers, and the newest matter."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment. Rates are in messages a second; None until two readings have been made."""

    queues: list[dict[str, Any]]
    workers: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    held_up: list[dict[str, Any]] = field(default_factory=list)
    """Groups whose messages wait for a limit. Not shown when there are none."""
    schedules: list[dict[str, Any]] = field(default_factory=list)
    """Schedules with trouble, and those whose tick comes next. Not shown when there are none."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    """Hosts to which calls run, wait or fail. Not shown when there are none."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Reader:
    """Reads one frame after the other, and remembers the counters of the last one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._before: dict[str, dict[str, Any]] = {}

    def read(self) -> Frame:
        """The frame of now."""
        busiest = overview.busiest(self._connection, limit=MAX_QUEUES)
        rows = overview.with_counters(self._connection, [row["queue"] for row in busiest])
        queues = [with_rates(row, self._before.get(row["queue"])) for row in rows]
        self._before = {row["queue"]: row for row in rows}
        return Frame(
            queues,
            workers.listed(self._connection, everyone=False, limit=MAX_WORKERS),
            failures.latest(self._connection, limit=MAX_FAILURES),
            limits.held_up(self._connection, limit=MAX_GROUPS),
            schedules.pressing(self._connection, limit=MAX_SCHEDULES),
            calls.hosts(self._connection),
        )


class Readers:
    """Reads frames of several databases: a queue is named with its database; schedules are those of one."""

    def __init__(self, readers: Mapping[str, Reader], schedules_in: str) -> None:
        self._readers = readers
        self._schedules_in = schedules_in

    def read(self) -> Frame:
        """The frame of now: the queues and workers of each database, and the newest failures of all."""
        frames = {name: reader.read() for name, reader in self._readers.items()}

        def of_each(part: str) -> list[dict[str, Any]]:
            return [
                {**row, "queue": queue_in(name, row["queue"])}
                for name, frame in frames.items()
                for row in getattr(frame, part)
            ]

        failed = sorted(of_each("failures"), key=lambda row: str(row["failed_at"]), reverse=True)
        scheduled = frames.get(self._schedules_in)
        return Frame(
            of_each("queues"),
            of_each("workers"),
            failed[:MAX_FAILURES],
            of_each("held_up"),
            [] if scheduled is None else scheduled.schedules,
            [row for frame in frames.values() for row in frame.calls],
        )


def with_rates(row: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """``row`` with ``sent_s`` and ``left_s`` in place of its counters."""
    shown = {name: value for name, value in row.items() if name not in _COUNTERS}
    elapsed_s = row["read_at"] - before["read_at"] if before else 0.0
    for rate, counter in (("sent_s", "sent_so_far"), ("left_s", "left_so_far")):
        counted = before is not None and row[counter] is not None and before[counter] is not None
        # The server forgets its counters when it crashes: a rate is never negative.
        shown[rate] = (
            round(max(0, row[counter] - before[counter]) / elapsed_s, 1)
            if counted and before is not None and elapsed_s > 0
            else None
        )
    return shown


_COUNTERS = frozenset({"sent_so_far", "left_so_far", "read_at"})
