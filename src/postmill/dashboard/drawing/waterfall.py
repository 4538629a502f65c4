"""The steps of a run over its time: for each a row, its waiting and its running apart.

A step waits from when the first of what it needs has ended, or the run has begun, until it begins. A wait for
a signal and a sleep wait as long as they last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FIELD = 1000.0
"""How wide the field is: a thousandth of a run is less than a pixel on most screens."""
LEAST = 2.0
"""How wide the shortest bar is, in thousandths: it is seen, and no longer than two pixels."""
PARTS = 4
"""Into how many equal parts the time is divided by lines. Four: the texts of the five ends fit side by side
above the field on a telephone.
"""
STANDING = frozenset({"sleep", "wait"})
"""Kinds of steps that do nothing but wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A step of a run, with its times."""

    name: str
    state: str
    kind: str = "step"
    needs: tuple[str, ...] = ()
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A bar of a row."""

    x: float
    width: float
    waits: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A step's bars."""

    name: str
    state: str
    waiting: Part | None
    running: Part | None
    waited_s: float | None
    took_s: float | None
    """So far, if it has not ended."""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A run over its time."""

    rows: tuple[Row, ...]
    ticks: tuple[float, ...]
    """Seconds after the beginning, at the ends of the equal parts."""


def waterfall(spans: Sequence[Span], began: datetime, until: datetime) -> Waterfall:
    """The rows of the steps that have begun, in order of their beginnings; ``until`` is the end, or now."""
    times = (time for span in spans for time in (span.started_at, span.ended_at))
    latest = max([until, began, *(time for time in times if time is not None)])
    length = max(latest - began, timedelta(milliseconds=1))
    ends = {span.name: span.ended_at for span in spans}
    begun = [(max(began, span.started_at), span) for span in spans if span.started_at is not None]
    begun.sort(key=lambda each: each[0])
    rows = [_row(started, span, ends, began, latest) for started, span in begun]
    ticks = tuple(length.total_seconds() * part / PARTS for part in range(PARTS + 1))
    return Waterfall(tuple(rows), ticks)


def not_begun(span: Span) -> Row:
    """The row of a step that has not begun: without bars."""
    return Row(span.name, span.state, None, None, None, None)


def _row(
    started: datetime, span: Span, ends: Mapping[str, datetime | None], began: datetime, latest: datetime
) -> Row:
    length = max(latest - began, timedelta(milliseconds=1))
    ended = max(started, span.ended_at or latest)
    ready = min(started, _ready(span, ends, began))

    def part(begin: datetime, end: datetime, *, waits: bool) -> Part | None:
        if end == begin and waits:
            return None
        x = round((begin - began) / length * FIELD, 1)
        width = round(max(LEAST, (end - begin) / length * FIELD), 1)
        return Part(min(x, FIELD - LEAST), width, waits)

    if span.kind in STANDING:
        waited = part(ready, ended, waits=True)
        return Row(span.name, span.state, waited, None, (ended - ready).total_seconds(), None)
    return Row(
        span.name,
        span.state,
        part(ready, started, waits=True),
        part(started, ended, waits=False),
        (started - ready).total_seconds(),
        (ended - started).total_seconds(),
    )


def _ready(span: Span, ends: Mapping[str, datetime | None], began: datetime) -> datetime:
    known: Iterable[datetime | None] = (ends.get(need) for need in span.needs)
    return max(began, min((end for end in known if end is not None), default=began))
