"""The charts of a queue's page: what it has done and how full it was, from its points in time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from postmill.dashboard.drawing.chart import Bars, bars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.api.resources.history import History, Point, Span

STATES = ("ready", "running", "retrying", "scheduled", "waiting")
TOGETHER: dict[Span, int] = {"1h": 1, "6h": 5, "24h": 1, "7d": 3, "30d": 24}
"""Points in one bar: so a chart has at most 72, which are still apart on a narrow screen."""
IN_WORDS: dict[Span, str] = {
    "1h": "1 hour",
    "6h": "6 hours",
    "24h": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is drawn, and the figures beside it."""

    span: Span
    done: Bars
    failures: Bars
    depth: Bars
    bar_s: int
    """What one bar stands for."""
    completed: int
    failed: int
    dead: int
    failed_percent: float | None
    mean_run_s: float | None
    """Of the attempts that completed or failed."""
    mean_wait_s: float | None
    """From sending until the first claim."""
    looked: bool
    """Whether it is known how full the queue was."""


def past(history: History) -> Past:
    """The history as charts."""
    together = TOGETHER[history.span]
    parts = _parts(history.items, together)
    completed, failed, dead = (_total(history.items, name) for name in ("completed", "failed", "dead"))
    ended = completed + failed
    started = _total(history.items, "started")
    return Past(
        span=history.span,
        done=bars({"completed": [_total(part, "completed") for part in parts]}),
        failures=bars(
            {
                "retrying": [max(0, _total(part, "failed") - _total(part, "dead")) for part in parts],
                "dead": [_total(part, "dead") for part in parts],
            }
        ),
        depth=bars({state: [_latest(part, state) or 0 for part in parts] for state in STATES}),
        bar_s=together * history.step_s,
        completed=completed,
        failed=failed,
        dead=dead,
        failed_percent=100 * failed / ended if ended else None,
        mean_run_s=_total(history.items, "ran_ms") / ended / 1000 if ended else None,
        mean_wait_s=_total(history.items, "waited_ms") / started / 1000 if started else None,
        looked=any(point.ready is not None for point in history.items),
    )


def _parts(points: Sequence[Point], together: int) -> list[Sequence[Point]]:
    return [points[begin : begin + together] for begin in range(0, len(points), together)]


def _total(points: Sequence[Point], name: str) -> int:
    return sum(getattr(point, name) for point in points)


def _latest(points: Sequence[Point], name: str) -> int | None:
    known = [getattr(point, name) for point in points if getattr(point, name) is not None]
    return known[-1] if known else None
