"""What all viewers look at is read once: the rows of queues and what is wrong are shared by them.

A queue is read again when its version has moved, and once a second, since ages and what falls due move no
version. What is wrong is found again every five seconds, and after each action. One request reads at a time,
and those that waited for it find what it has read.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.db.reads import findings, history, overview, versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.db.tools.connect import Connection
    from postmill.db.tools.sessions import Sessions
    from postmill.model.finding import Finding

Row: TypeAlias = dict[str, Any]
ROW_S = 1.0
"""How long the row of a queue is shown whose version stays, in seconds. A hundred queues are read in some 50
ms: once a second that is 5 % of a core, while a page is open.
"""
FINDINGS_S = 5.0
"""How long what is wrong is shown, in seconds. The checks share one look into at most 300 queues: they take
half a second, or one and a half where there are 10,000. What is wrong stays so for minutes.
"""


@dataclass(frozen=True, slots=True)
class _Kept:
    version: str | None
    at: float
    row: Row


@dataclass(slots=True)
class Looks:
    """Shared by all requests of an application."""

    _rows: dict[str, _Kept] = field(default_factory=dict)
    _found: tuple[float, list[Finding]] | None = None
    actions: int = 0
    """How many there were: what was begun before one shows nothing of it."""
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _finding: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def queues(self, sessions: Sessions, names: Sequence[str]) -> list[Row]:
        """These queues in this order, with what workers have done in each; one that is gone is left out."""
        async with self._reading:
            actions = self.actions
            rows = await sessions.read(_renewed, names, self._rows)
            self._rows = rows if actions == self.actions else {}
            return [rows[name].row for name in names if name in rows]

    async def findings(self, sessions: Sessions) -> list[Finding]:
        """What each check of queues, schedules, calls and flows has found."""
        async with self._finding:
            began = time.monotonic()
            if self._found is not None and began - self._found[0] <= FINDINGS_S:
                return self._found[1]
            actions = self.actions
            found = await sessions.read(findings.of_work, sessions.address)
            self._found = (began, found) if actions == self.actions else None
            return found

    def forget(self) -> None:
        """Something was done: what comes next is read anew, and what is being read is not kept."""
        self.actions += 1
        self._rows, self._found = {}, None


def _renewed(connection: Connection, names: Sequence[str], kept: dict[str, _Kept]) -> dict[str, _Kept]:
    """What is kept, and what has moved of ``names`` as it is now. The versions are read first: a row is at
    least as new as the version that it is kept under.
    """
    now = time.monotonic()
    told = versions.read(connection, versions.Watched(queues=set(names)))
    still = {
        name: each
        for name, each in kept.items()
        if now - each.at <= ROW_S and (name not in names or each.version == told.get(f"queue:{name}"))
    }
    moved = [name for name in names if name not in still]
    rows = {row["queue"]: row for row in overview.some(connection, moved)}
    done = {row["queue"]: row for row in history.throughput(connection, list(rows))}
    return still | {
        name: _Kept(told.get(f"queue:{name}"), now, {**done[name], **row}) for name, row in rows.items()
    }
