"""Steps over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from postmill.dashboard.drawing.waterfall import FIELD, Part, Span, waterfall

BEGAN = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def test_waiting_and_running_are_apart() -> None:
    drawn = waterfall(
        [
            Span(name="b", state="started", needs=("a",), started_at=at(6)),
            Span(name="a", state="completed", started_at=at(0), ended_at=at(4)),
            Span(name="c", state="waiting", needs=("b",)),
        ],
        BEGAN,
        at(10),
    )
    first, second = drawn.rows
    assert (first.name, first.waiting, first.running) == ("a", None, Part(0.0, 400.0, waits=False))
    assert (second.waiting, second.running) == (
        Part(400.0, 200.0, waits=True),
        Part(600.0, 400.0, waits=False),
    )
    assert (second.waited_s, second.took_s) == (2.0, 4.0)
    assert drawn.ticks == (0.0, 2.5, 5.0, 7.5, 10.0)


def test_a_step_with_several_needs_waits_from_the_first_that_ended() -> None:
    drawn = waterfall(
        [
            Span(name="a", state="completed", started_at=at(0), ended_at=at(2)),
            Span(name="b", state="completed", started_at=at(0), ended_at=at(5)),
            Span(name="c", state="completed", needs=("a", "b"), started_at=at(5), ended_at=at(10)),
        ],
        BEGAN,
        at(10),
    )
    assert drawn.rows[2].waiting == Part(200.0, 300.0, waits=True)


def test_a_sleep_only_waits() -> None:
    (row,) = waterfall([Span(name="nap", state="started", kind="sleep", started_at=at(0))], BEGAN, at(3)).rows
    assert (row.waiting, row.running, row.took_s) == (Part(0.0, 1000.0, waits=True), None, None)


def test_a_run_that_took_no_time_is_drawn() -> None:
    (row,) = waterfall(
        [Span(name="a", state="completed", started_at=at(0), ended_at=at(0))], BEGAN, BEGAN
    ).rows
    assert row.running == Part(0.0, 2.0, waits=False)


times = st.floats(-10, 1e7, allow_nan=False)


@given(st.lists(st.tuples(times, st.none() | times), max_size=20), times)
def test_bars_stay_in_their_field(steps: list[tuple[float, float | None]], until: float) -> None:
    """Also of a forked run, whose steps were done before it began, and of clocks that went back."""
    spans = [
        Span(
            name=f"s{number}",
            state="completed",
            needs=(f"s{number - 1}",),
            started_at=at(begin),
            ended_at=None if end is None else at(end),
        )
        for number, (begin, end) in enumerate(steps)
    ]
    drawn = waterfall(spans, BEGAN, at(until))
    for row in drawn.rows:
        for part in filter(None, (row.waiting, row.running)):
            assert part.x >= 0
            assert part.width > 0
            assert part.x + part.width <= FIELD + 2.1
