"""The checks of ``postmill doctor`` that look into queues. They share one look, into a bounded number of
them: those that most likely want one. Changes nothing.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg

from postmill.db.reads import overview
from postmill.db.tools import pgmq
from postmill.db.tools.waiting_checks import RUN_A_WORKER
from postmill.model.finding import Finding
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address
    from postmill.model.queue.queue_name import QueueShape

Row: TypeAlias = dict[str, Any]

LOOKED_INTO = 300
"""The most queues that are looked into. 300 take about 0.1 s when the server has them at hand, and those with
messages and no open claim come first: with thousands of queues most are empty.
"""
AT_ONCE = 50
"""Queues of one statement. Fifty take some 10 to 50 ms: the clock is looked at between two statements."""
LOOK_S = 1.0
"""How long the look, and each check that asks every queue, may take, in seconds. One: the strip of the
overview waits for them, and a statement of its page may take two.
"""
NAMED = 10
"""Queues that a finding names, then it counts the others. Ten: a line that people read."""
LEFT_READY_S = 60.0
"""A message that is ready for longer than this, in seconds, while a worker has room, is reported. A worker
with room takes it within seconds, so after a minute something is wrong.
"""
LOCKING_S = 10.0
"""A transaction that is open for longer than this, in seconds, is not a worker's: workers' transactions take
milliseconds. So it is the one that keeps a message locked.
"""


def named(each: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(each) - NAMED:,} more" if len(each) > NAMED else ""
    return ", ".join(each[:NAMED]) + more


@dataclass(slots=True)
class Look:
    """What the checks of queues know of them, read by the first that asks."""

    _known: int = 0
    """How many queues there are."""
    _rows: dict[str, Row] | None = None
    """Those that were looked into."""
    _shapes: list[QueueShape] | None = None

    def queues(self, connection: Connection, _: Address) -> Finding:
        """Queues whose messages are not taken: they are paused, whether workers run or not, or have no
        worker.
        """
        rows = self._looked(connection).values()
        due = [row for row in rows if row["ready"] or row["oldest_waiting_s"] is not None]
        paused = [row["queue"] for row in due if row["paused_at"]]
        lonely = {row["queue"]: _left(row) for row in due if not row["paused_at"] and not row["workers"]}
        found, fixes = [], []
        if lonely:
            found.append("no worker for " + named([f"{queue} ({left})" for queue, left in lonely.items()]))
            fixes.append(RUN_A_WORKER)
        if paused:
            found.append(f"paused: {named(paused)}")
            fixes.append(f"postmill queue resume {paused[0]}")
        cut = self._cut(len(rows))
        if not found:
            return Finding("queues", "pass", f"none waits paused or without a worker{cut}")
        return Finding("queues", "warn", "; ".join(found) + cut, "; ".join(fixes), tuple(lonely or paused))

    def left_ready(self, connection: Connection, _: Address) -> Finding:
        """Messages that stay ready although a worker has room for them."""
        looked = self._looked(connection)
        ready_s = {
            queue: row["oldest_ready_s"]
            for queue, row in looked.items()
            if row["paused_at"] is None and (row["oldest_ready_s"] or 0) > LEFT_READY_S
        }
        rows = connection.execute(statement("check_waiting"), (list(ready_s), LOCKING_S)).fetchall()
        cut = self._cut(len(looked))
        if not rows:
            return Finding("left ready", "pass", f"workers with room take what is ready{cut}")
        found = named([f"{row['queue']} (for {ready_s[row['queue']]:,.0f} s)" for row in rows])
        pid = next((row["pid"] for row in rows if row["pid"] is not None), None)
        fix = "Look for message.locked and worker.failed in the worker's log."
        if pid is not None:
            fix = f"Process {pid} may keep them locked: select pg_terminate_backend({pid});"
        return Finding("left ready", "warn", f"ready while a worker is idle: {found}{cut}", fix)

    def ids(self, connection: Connection, _: Address) -> Finding:
        """Queues that give out ids again that their archive has: what they complete can't be archived."""
        behind, asked = [], 0
        for shape in self._asked(connection):
            asked += 1
            row = _answer(connection, "check_ids", shape)
            if row and row["archived"] is not None and row["given"] < row["archived"]:
                behind.append((shape, row["given"], row["archived"]))
        cut = self._cut(asked)
        if not behind:
            return Finding("ids", "pass", f"no archive has an id that is still to come{cut}")
        found = named(
            [f"{shape.name} is at {given}, its archive at {archived}" for shape, given, archived in behind]
        )
        shape, _given, archived = behind[0]
        fix = f"select setval('{shape.sequence}', {archived}); then postmill dead replay {shape.name} --all"
        return Finding("ids", "warn", f"ids are given out again: {found}{cut}", fix)

    def priorities(self, connection: Connection, _: Address) -> Finding:
        """Queues whose messages have a priority that no worker goes by."""
        ignored, fixes, asked = [], [], 0
        for shape in self._asked(connection):
            asked += 1
            row = _answer(connection, "check_priorities", shape, shape.name) if shape.has_headers else None
            if row is None:
                continue
            if row["enabled"] and not row["indexed"]:
                ignored.append(f"{shape.name} has lost the index of priorities")
            elif row["asked"] and not row["enabled"]:
                ignored.append(f"{shape.name} has messages with a priority, and is not served by it")
            else:
                continue
            fixes.append(f"select postmill.enable_priority('{shape.name}')")
        cut = self._cut(asked)
        if not ignored:
            return Finding("priorities", "pass", f"no message has one that workers don't go by{cut}")
        return Finding("priorities", "warn", named(ignored) + cut, f"As the owner of the table: {fixes[0]}")

    def _looked(self, connection: Connection) -> dict[str, Row]:
        """The queues that most likely want a look, by name, as many of them as time allows."""
        if self._rows is None:
            ranked = overview.left_alone(connection, limit=LOOKED_INTO)
            self._known = ranked[0]["known"] if ranked else 0
            names = [row["queue"] for row in ranked]
            found: dict[str, Row] = {}
            until = time.monotonic() + LOOK_S
            for first in range(0, len(names), AT_ONCE):
                if time.monotonic() > until:
                    break
                rows = overview.some(connection, names[first : first + AT_ONCE])
                found |= {row["queue"]: row for row in rows}
            self._rows = dict(sorted(found.items()))
        return self._rows

    def _asked(self, connection: Connection) -> Iterator[QueueShape]:
        """The tables of these queues, one after the other, as long as time allows."""
        looked = self._looked(connection)
        if self._shapes is None:
            self._shapes = [shape for shape in pgmq.shapes(connection) if shape.name in looked]
        until = time.monotonic() + LOOK_S
        for shape in self._shapes:
            if time.monotonic() > until:
                return
            yield shape

    def _cut(self, looked: int) -> str:
        """What to say when not every queue was looked into."""
        if looked >= self._known:
            return ""
        return f" ({looked:,} of {self._known:,} queues looked into: first those with messages and no claim)"


def _answer(connection: Connection, name: str, shape: QueueShape, *arguments: object) -> Row | None:
    """What that statement finds of a queue; None for one that is gone, or that the user may not look into."""
    with suppress(psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return connection.execute(queue_statement(name, shape), arguments).fetchone()
    return None


def _left(row: Row) -> str:
    """How many messages of a queue could run, or wait."""
    counts = {state: row[state] for state in ("ready", "waiting")}
    return ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
