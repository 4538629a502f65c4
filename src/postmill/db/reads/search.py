"""Messages that match a search, page by page.

It starts where it has least to look at: the ids that are given, failures for an error, claims for what runs,
an index of a place. Otherwise it walks from the newest id down, in windows, until it has a page or its time
is up, and says how far it came: the next page goes on there. A page begins below an id, never at a number of
rows or at a time: so nothing is lost or shown twice while messages move.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg

from postmill.model.errors import InvalidSearch
from postmill.model.search.condition import fields_of
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from postmill.db.tools.connect import Connection
    from postmill.model.search.filter import Filter, When

Row: TypeAlias = dict[str, Any]
BUDGET_S = 2.0
"""How long one page may take, in seconds. 2 s: people leave a search box that answers later, and it is as
long as one statement may take.
"""
FIRST_WINDOW = 1_000
"""Ids in the first window. 1,000: where most messages match, a page is full after that, in milliseconds."""
WIDEST_WINDOW = 100_000
"""Ids in the widest window. 100,000 payloads are read in about a tenth of a second: the time between two
looks at the clock.
"""
FAILURES = 10_000
"""Failures that are looked at between two looks at the clock: about ten milliseconds."""
LOOKED_THROUGH = 200
"""Messages that are read at a time where not all are let through. 200, the longest page: a few that are not
let through cost no second look, so that neither time nor how far it came tells of them.
"""
_RUNNING = frozenset({None, "running"})
"""Searches for a worker's messages find what runs."""


@dataclass(slots=True)
class Found:
    """A page of what matches, and how far was looked."""

    rows: list[Row] = field(default_factory=list)
    """Newest first, with the keys of a list of messages."""
    low: int = 1
    high: int = 0
    """The ids that were looked at, the lowest and the highest; below the page's last row when it is full."""
    back_to: datetime | None = None
    """About when the message with the lowest one was sent; None when none is left there."""
    next_below: int | None = None
    """The next page is below this id; None when everything was looked at."""
    is_cut: bool = False
    """A statement took too long and was ended: what it would have looked at is still to come."""
    index_on: str | None = None
    """The time was up, and an index on this place would have found them at once."""


def search(
    connection: Connection,
    wanted: Filter,
    *,
    limit: int,
    below: int | None = None,
    budget_s: float = BUDGET_S,
    keep: Callable[[Row], bool] | None = None,
) -> Found:
    """The newest ``limit`` messages that match and that ``keep`` lets through, with ids below ``below``.
    What it does not let through leaves no trace in the answer. Raises :class:`InvalidSearch` when no queue is
    given; the database refuses one that is not there.
    """
    if wanted.queue is None:
        raise InvalidSearch("No queue is given.", hint="Begin with queue:NAME.")
    asked = _Asked(connection, wanted, keep, time.monotonic() + budget_s)
    low, high = asked.span()
    found = Found(low=low, high=high if below is None else min(high, below - 1))
    reached = found.high + 1
    try:
        for window, ids in asked.windows(low, found.high):
            reached = asked.fill(found.rows, limit, window, ids)
            if len(found.rows) >= limit or asked.left_s <= 0:
                break
    except psycopg.errors.QueryCanceled:
        found.is_cut = True
    found.low = reached
    found.next_below = reached if reached > low else None
    if found.next_below and len(found.rows) < limit:
        found.index_on = asked.place_without_index()
    with suppress(psycopg.errors.QueryCanceled):
        found.back_to = asked.sent_at(reached)
    return found


class _Asked:
    """One search on one connection."""

    def __init__(
        self, connection: Connection, wanted: Filter, keep: Callable[[Row], bool] | None, until: float
    ) -> None:
        self._connection = connection
        self._wanted = wanted
        self._keep = keep
        self._until = until
        self._places = list(fields_of(wanted))
        self._since = self._moment(wanted.since)
        self._before = self._moment(wanted.before)

    @property
    def left_s(self) -> float:
        """How much of its time is left."""
        return self._until - time.monotonic()

    def span(self) -> tuple[int, int]:
        """The lowest and the highest id that may match, by the times that are given and the ids."""
        row = self._row("search_span", self._wanted.queue, self._since, self._before)
        low, high = int(row["lowest"]), int(row["highest"])
        if self._wanted.ids is not None:
            return max(low, self._wanted.ids[0]), min(high, self._wanted.ids[1])
        return low, high

    def windows(self, low: int, high: int) -> Iterator[tuple[tuple[int, int], list[int] | None]]:
        """What is looked at one after the other, from ``high`` down: ids from and to, and which of them may
        match; None is all.
        """
        if self._wanted.error is not None:
            yield from self._of_failures(low, high)
        elif self._wanted.worker is not None or self._wanted.state == "running":
            row = self._row("search_claims", self._wanted.queue, low, high, self._wanted.worker)
            yield (low, high), row["ids"]
        else:
            width, is_indexed = FIRST_WINDOW, bool(self._indexed())
            while high >= low:
                bottom = self._bottom(low, high) if is_indexed else max(low, high - width + 1)
                yield (bottom, high), None
                high, width = bottom - 1, min(width * 10, WIDEST_WINDOW)

    def _bottom(self, low: int, high: int) -> int:
        """The lowest id of a window in which only what is not found by an index has to be looked at."""
        return int(self._row("search_bottom", self._wanted.queue, low, high, WIDEST_WINDOW)["bottom"])

    def _indexed(self) -> list[str]:
        """The places of the search that have an index."""
        if not self._places:
            return []
        found: list[str] = self._row("search_indexed", self._wanted.queue, self._places)["places"]
        return found

    def place_without_index(self) -> str | None:
        """A place of the search on which an index would help, since none of them has one."""
        return None if self._indexed() or not self._places else self._places[0]

    def _of_failures(self, low: int, high: int) -> Iterator[tuple[tuple[int, int], list[int]]]:
        while high >= low:
            row = self._row("search_failures", self._wanted.queue, low, high, self._wanted.error, FAILURES)
            # The failures of the lowest message may go on after these: it is looked at with the next ones.
            bottom = low if row["reached"] is None else min(row["reached"] + 1, high)
            yield (bottom, high), [number for number in row["ids"] if number >= bottom]
            high = bottom - 1

    def fill(self, rows: list[Row], limit: int, window: tuple[int, int], ids: list[int] | None) -> int:
        """Add what matches in a window to the ``rows`` of a page of ``limit``; returns the lowest id that was
        looked at.
        """
        low, high = window
        while high >= low and (ids is None or ids):
            room = limit - len(rows) if self._keep is None else max(limit, LOOKED_THROUGH)
            matching = self._look((low, high), ids, room)
            kept = matching if self._keep is None else list(filter(self._keep, matching))
            rows += kept[: limit - len(rows)]
            if len(rows) >= limit:
                return int(rows[-1]["msg_id"])
            if len(matching) < room:
                break
            high = int(matching[-1]["msg_id"]) - 1
            if self.left_s <= 0:
                return high + 1
        return low

    def _look(self, window: tuple[int, int], ids: list[int] | None, limit: int) -> list[Row]:
        wanted = self._wanted
        state = "running" if wanted.worker is not None and wanted.state in _RUNNING else wanted.state
        given = (wanted.queue, *window, ids, state, self._since, self._before)
        more = (json.dumps(fields_of(wanted)), list(wanted.words), limit)
        with self._connection.transaction():
            self._bound()
            return self._connection.execute(statement("search_window"), (*given, *more)).fetchall()

    def sent_at(self, msg_id: int) -> datetime | None:
        """About when the message with this id was sent."""
        found: datetime | None = self._row("search_reached", self._wanted.queue, msg_id)["sent_at"]
        return found

    def _moment(self, when: When | None) -> datetime | None:
        """A moment by the server's clock, by which messages bear their times."""
        if when is None:
            return None
        if when.ago_s is None:
            return when.at
        found: datetime = self._row("search_moment", when.ago_s)["at"]
        return found

    def _row(self, name: str, *arguments: object) -> Row:
        with self._connection.transaction():
            self._bound()
            return self._connection.execute(statement(name), arguments).fetchone() or {}

    def _bound(self) -> None:
        """End the statement that follows when the time is up; a tenth of a second it has in any case."""
        milliseconds = max(100, round(self.left_s * 1000))
        self._connection.execute(statement("search_timeout"), (str(milliseconds),))
