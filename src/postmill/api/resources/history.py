"""What queues have done, and how full they were, over time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

from postmill.api.resources.queues import InQueue
from postmill.api.route import resource
from postmill.api.shape import Moment
from postmill.db.reads import history

if TYPE_CHECKING:
    from postmill.api.desk import Desk

Span: TypeAlias = Literal["1h", "6h", "24h", "7d", "30d"]
SPANS: dict[Span, timedelta] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
"""How far one may look back; up to six hours by the minute, else by the hour."""


class Back(Struct, forbid_unknown_fields=True):
    """How far to look back."""

    span: Span = "1h"


class Point(Struct, kw_only=True):
    """One minute or hour. Messages in each state are None where no process has looked."""

    at: Moment
    """Its begin."""
    started: int
    """Messages whose first attempt has ended."""
    completed: int
    failed: int
    """Attempts."""
    dead: int
    """Messages that became dead letters."""
    ran_ms: int
    """Of the attempts that completed or failed."""
    waited_ms: int
    """Of the messages in ``started``, from sending until they were claimed."""
    ready: int | None
    running: int | None
    retrying: int | None
    scheduled: int | None
    waiting: int | None
    dead_letters: int | None


class History(Struct, kw_only=True):
    """Points at equal distances, the oldest first; the last one is not over yet."""

    queue: str
    span: Span
    step_s: int
    items: list[Point]


@resource("GET", "/queues/{queue}/history", out=History, in_path=InQueue, query=Back)
async def show_history(desk: Desk, path: InQueue, query: Back) -> History:
    """What a queue has done and how full it was, by the minute up to six hours, else by the hour."""
    rows = await desk.read(history.series, path.queue, SPANS[query.span])
    points = [desk.shaped(Point, row) for row in rows]
    step = points[1].at - points[0].at
    return History(queue=path.queue, span=query.span, step_s=int(step.total_seconds()), items=points)
