"""Durations as users write them (seconds, or a ``timedelta``), checked once."""

from __future__ import annotations

import math
from datetime import timedelta

from postmill.model.errors import InvalidOption
from postmill.model.option_rules import out_of_range

LONGEST_S = 10 * 365.25 * 86_400
"""The longest duration, in seconds: ten years. With a longer one, timestamps leave the range of Python and
Postgres, and a unit was probably confused.
"""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def seconds(value: float | timedelta, name: str) -> float:
    """``value`` in seconds; raises :class:`InvalidOption` when it is negative, not finite, not a number or
    over ten years.
    """
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if not _is_number(number) or not math.isfinite(number):
        raise InvalidOption(f"{name}={value!r} is not a duration.", hint="Give seconds or a timedelta.")
    if not 0 <= number <= LONGEST_S:
        raise out_of_range(name, value, "A duration lies between 0 s and ten years.")
    return float(number)
