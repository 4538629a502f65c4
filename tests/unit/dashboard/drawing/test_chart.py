"""Bars, lines and strips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.dashboard.drawing.chart import FIELD, bars, ceiling, curve, strip

numbers = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (1, 1), (1.2, 2), (3, 3), (4, 5), (5, 5), (6, 10), (1001, 2000)]
)
def test_a_scale_ends_at_a_round_number(value: float, top: int) -> None:
    assert ceiling(value) == top


@given(numbers)
def test_bars_stay_in_their_field_and_stand_on_each_other(values: list[tuple[int, int]]) -> None:
    drawn = bars({"completed": [a for a, _ in values], "failed": [b for _, b in values]})
    assert len(drawn.bars) == sum((a > 0) + (b > 0) for a, b in values)
    assert all(bar.y >= 0 and bar.y + bar.height <= FIELD + 4.01 for bar in drawn.bars)
    assert all(bar.x >= 0 and bar.x + bar.width <= drawn.width for bar in drawn.bars)
    assert drawn.top >= max(a + b for a, b in values)


def test_a_bar_is_as_high_as_its_value() -> None:
    (low, high) = bars({"completed": [25, 100]}).bars
    assert (low.height, high.height, high.y) == (25.0, 100.0, 0.0)


def test_few_failures_among_many_are_seen() -> None:
    _, failed = bars({"completed": [99_999], "failed": [1]}).bars
    assert failed.height >= 2


def test_a_line_is_broken_where_nothing_is_known() -> None:
    drawn = curve([0, 10, None, 5])
    assert drawn.path == "M0 100L10 0M30 50"
    assert (drawn.width, drawn.top) == (30.0, 10)
    assert curve([None]).path == ""
    assert curve([]).path == ""


def test_the_latest_stands_at_the_right_edge() -> None:
    marks = strip([("completed", "one"), ("failed", "two"), ("completed", "three")], 2)
    assert [(mark.x, mark.state, mark.title) for mark in marks] == [
        (0.0, "failed", "two"),
        (10.0, "completed", "three"),
    ]
    assert [mark.x for mark in strip([("completed", "")], 3)] == [20.0]
