"""Lengths of time on the command line: the same forms for every option."""

from __future__ import annotations

import click
import pytest

from postmill.cli.options import Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        (".5s", 0.5),
        ("90s", 90),
        ("15m", 900),
        ("15 min", 900),
        ("12h", 43_200),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
    ],
)
def test_a_length_of_time(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "-5", "5 moons", "5M", "1e3", "inf", "1h30m", "\N{ARABIC-INDIC DIGIT FIVE}x"]
)
def test_what_is_none_is_told_with_the_forms(text: str) -> None:
    with pytest.raises(click.UsageError, match="write 90s, 15min, 12h, 30d or 2w"):
        Duration().convert(text, None, None)


def test_where_something_is_deleted_a_number_alone_is_refused() -> None:
    with pytest.raises(click.UsageError, match="'30' is no length of time"):
        Duration(needs_unit=True).convert("30", None, None)


@pytest.mark.parametrize("text", ["0.01", "2h"])
def test_bounds_are_told(text: str) -> None:
    with pytest.raises(click.UsageError, match=r"is not 0\.1s to 3600s"):
        Duration(least_s=0.1, most_s=3600).convert(text, None, None)


def test_a_bound_that_is_none_is_not_told() -> None:
    with pytest.raises(click.UsageError, match=r"'0s' is not 0\.1s or more\."):
        Duration(least_s=0.1).convert("0s", None, None)
