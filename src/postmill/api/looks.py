"""What all viewers look at is read once: the rows of queues and what is wrong are shared by them.

A queue is read again when its version has moved, and now and then for its age alone, since what falls due
moves no version: that takes a hundredth of a core. What is wrong is found again every five seconds,
and after each action; meanwhile the last finding is shown. One request reads at a time, and those that waited
for it find what it has read.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.db.reads import findings, history, overview, versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from postmill.db.tools.connect import Connection
    from postmill.db.tools.sessions import Sessions
    from postmill.model.finding import Finding

Row: TypeAlias = dict[str, Any]
ROW_S = 1.0
"""How long the row of a queue is shown whose version stays, in seconds, before it may be read again."""
OLDEST_S = 10.0
"""How old a row may become, in seconds, whatever it costs to read it again. Ten: ages and what falls due are
told by the minute; what a person waits for moves a version.
"""
SHARE = 100
"""What is read for its age alone is followed by a rest that is this many times as long: it takes 1 % of a
core, and among a hundred queues each has its turn after six seconds.
"""
FEW = 10
"""Rows from which it is known what one takes. One queue that is worked on may cost as much as ten at rest."""
FINDINGS_S = 5.0
"""How long what is wrong is shown, in seconds, before it is found again. The checks share one look into at
most 300 queues: they take a fifth of a second, or one and a half where there are 10,000. What is wrong stays
so for minutes.
"""
FINDINGS_SHARE = 40
"""What is wrong is shown so many times as long as it took to find: 2.5 % of a core at most."""
STILL = 3
"""What is wrong is shown up to so many times as long, while it is found again: a page that is open asks often
enough. What was found before that is of a time when nobody looked, and a viewer waits for what is now.
"""


@dataclass(frozen=True, slots=True)
class _Kept:
    version: str | None
    at: float
    row: Row


@dataclass(slots=True)
class _Pace:
    """How many rows may be read for their age alone."""

    row_s: float = 0.001
    """What one takes. A millisecond, until it was seen."""
    read_at: float = 0.0

    def begin(self, now: float) -> int:
        """So many, since the last reading was long enough ago."""
        allowed = int((now - self.read_at) / SHARE / self.row_s)
        self.read_at = now
        return allowed

    def note(self, rows: int, took_s: float) -> None:
        """What a reading took."""
        if rows >= FEW:
            self.row_s = took_s / rows


@dataclass(frozen=True, slots=True)
class _Found:
    at: float
    took_s: float
    findings: list[Finding]

    def is_fresh(self, now: float, times: int = 1) -> bool:
        return now - self.at <= times * max(FINDINGS_S, FINDINGS_SHARE * self.took_s)


@dataclass(slots=True)
class Looks:
    """Shared by all requests of an application."""

    _rows: dict[str, _Kept] = field(default_factory=dict)
    _found: _Found | None = None
    actions: int = 0
    """How many there were: what was begun before one shows nothing of it."""
    _pace: _Pace = field(default_factory=_Pace)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _finding: asyncio.Lock = field(default_factory=asyncio.Lock)
    _again: asyncio.Task[list[Finding]] | None = None

    async def queues(self, sessions: Sessions, names: Sequence[str]) -> list[Row]:
        """These queues in this order, with what workers have done in each; one that is gone is left out."""
        async with self._reading:
            actions = self.actions
            rows = await sessions.read(_renewed, names, self._rows, self._pace)
            self._rows = rows if actions == self.actions else {}
            return [rows[name].row for name in names if name in rows]

    async def busiest(self, sessions: Sessions, *, limit: int, after: int) -> list[Row]:
        """As :meth:`queues`, those in which most goes on first: ``limit`` of them, after ``after``."""
        async with self._reading:
            actions = self.actions
            names, rows = await sessions.read(_ranked, limit, after, self._rows, self._pace)
            self._rows = rows if actions == self.actions else {}
            return [rows[name].row for name in names if name in rows]

    async def findings(self, sessions: Sessions) -> list[Finding]:
        """What each check of queues, schedules, calls and flows has found."""
        found = self._found
        if found is None or not found.is_fresh(time.monotonic(), STILL):
            return await self._find(sessions)
        if not found.is_fresh(time.monotonic()) and (self._again is None or self._again.done()):
            self._again = asyncio.create_task(self._find(sessions))
            self._again.add_done_callback(_hear)
        return found.findings

    def forget(self) -> None:
        """Something was done: what comes next is read anew, and what is being read is not kept."""
        self.actions += 1
        self._rows, self._found = {}, None

    async def _find(self, sessions: Sessions) -> list[Finding]:
        async with self._finding:
            began, actions = time.monotonic(), self.actions
            if self._found is not None and self._found.is_fresh(began):
                return self._found.findings
            found = await sessions.read(findings.of_work, sessions.address)
            kept = _Found(began, time.monotonic() - began, found)
            self._found = kept if actions == self.actions else None
            return found


def _hear(task: asyncio.Task[list[Finding]]) -> None:
    """A finding that failed leaves the last one; once that is too old a viewer is told why."""
    if not task.cancelled():
        task.exception()


def _ranked(
    connection: Connection, limit: int, after: int, kept: Mapping[str, _Kept], pace: _Pace
) -> tuple[list[str], dict[str, _Kept]]:
    """The names of the busiest queues, and what is kept, with these as they are now."""
    names = [row["queue"] for row in overview.busiest(connection, limit=limit, after=after)]
    return names, _renewed(connection, names, kept, pace)


def _renewed(
    connection: Connection, names: Sequence[str], kept: Mapping[str, _Kept], pace: _Pace
) -> dict[str, _Kept]:
    """What is kept, and what has moved of ``names`` as it is now. The versions are read first: a row is at
    least as new as the version that it is kept under.
    """
    now = time.monotonic()
    told = versions.read(connection, versions.Watched(queues=set(names)))
    wanted = {name for name in names if name not in kept or kept[name].version != told.get(f"queue:{name}")}
    wanted |= _of_age([name for name in names if name not in wanted], kept, now, pace.begin(now))
    still = {
        name: each
        for name, each in kept.items()
        if name not in wanted and (name in names or now - each.at <= ROW_S)
    }
    began = time.monotonic()
    rows = {
        row["queue"]: row for row in overview.some(connection, [each for each in names if each in wanted])
    }
    done = {row["queue"]: row for row in history.throughput(connection, list(rows))}
    pace.note(len(rows), time.monotonic() - began)
    return still | {
        name: _Kept(told.get(f"queue:{name}"), now, {**done[name], **row}) for name, row in rows.items()
    }


def _of_age(names: Sequence[str], kept: Mapping[str, _Kept], now: float, allowed: int) -> set[str]:
    """Those of these queues that are read for their age: so many of the oldest, and all that are too old."""
    old = sorted((name for name in names if now - kept[name].at > ROW_S), key=lambda name: kept[name].at)
    return {*old[:allowed], *(name for name in old[allowed:] if now - kept[name].at > OLDEST_S)}
