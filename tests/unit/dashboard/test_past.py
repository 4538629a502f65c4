"""The charts of a queue's page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, get_args

import pytest

from postmill.api.resources.history import SPANS, History, Point, Span
from postmill.dashboard.past import IN_WORDS, TOGETHER, past

if TYPE_CHECKING:
    from collections.abc import Mapping

BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
NOTHING: dict[str, int] = dict.fromkeys(("started", "completed", "failed", "dead", "ran_ms", "waited_ms"), 0)
UNSEEN: dict[str, None] = dict.fromkeys(
    ("ready", "running", "retrying", "scheduled", "waiting", "dead_letters"), None
)


def history(*points: Mapping[str, int], span: Span = "1h", step_s: int = 60) -> History:
    items = [
        Point(at=BEGIN + timedelta(seconds=step_s * number), **{**NOTHING, **UNSEEN, **point})  # type: ignore[arg-type]
        for number, point in enumerate(points)
    ]
    return History(queue="mail", span=span, step_s=step_s, items=items)


def test_every_span_can_be_drawn() -> None:
    assert set(get_args(Span)) == set(SPANS) == set(TOGETHER) == set(IN_WORDS)


@pytest.mark.parametrize("span", SPANS)
def test_a_chart_has_no_more_bars_than_a_narrow_screen_shows(span: Span) -> None:
    by_minute = SPANS[span] <= timedelta(hours=6)
    points = SPANS[span] // (timedelta(minutes=1) if by_minute else timedelta(hours=1))
    drawn = past(history(*[{"completed": 1}] * points, span=span))
    assert 24 <= len(drawn.done.bars) <= 72
    assert drawn.completed == points
    assert {round(bar.height) for bar in drawn.done.bars} == {round(drawn.done.bars[0].height)}


def test_bars_of_several_points_are_their_sum_and_the_last_depth() -> None:
    points = [{"completed": 2, "ready": 7}, *[{"completed": 2}] * 4]
    drawn = past(history(*points, {"ready": 3}, {"ready": 5}, span="6h"))
    assert (drawn.done.top, [bar.height for bar in drawn.done.bars]) == (10, [100])
    assert drawn.bar_s == 300
    assert [round(bar.height) for bar in drawn.depth.bars] == [70, 50]


def test_those_that_died_are_not_shown_as_tried_again() -> None:
    drawn = past(history({"failed": 5, "dead": 2}, {"dead": 1}))
    assert [(bar.series, bar.height) for bar in drawn.failures.bars] == [
        ("retrying", 60),
        ("dead", 40),
        ("dead", 20),
    ]


def test_means_are_of_what_was_measured() -> None:
    drawn = past(history({"started": 2, "completed": 3, "failed": 1, "ran_ms": 8_000, "waited_ms": 3_000}))
    assert (drawn.mean_run_s, drawn.mean_wait_s, drawn.failed_percent) == (2.0, 1.5, 25.0)


def test_nothing_has_no_means() -> None:
    drawn = past(history({}, {}))
    assert (drawn.mean_run_s, drawn.mean_wait_s, drawn.failed_percent, drawn.looked) == (
        None,
        None,
        None,
        False,
    )
    assert drawn.done.bars == ()
