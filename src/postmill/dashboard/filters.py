"""How templates write numbers, spans of time, moments and links. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from postmill.api.json_text import in_lines, in_one_line
from postmill.api.redaction import REDACTED

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SIZES = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))
NONE = "\u2013"
"""Stands where there is no value, so that a cell is not taken for one that failed to load."""
LONGEST_BRIEF = 200
"""Characters of a payload in a list. A cell shows about 50 of them, and the rest on a narrow screen."""
LONGEST_SHOWN = 20_000
"""Characters of a payload or a traceback that a page shows. Twenty thousand are 400 lines, more than a person
reads in a browser; as quotes, which take five bytes each, they are 100 KB.
"""
CUT = "\n\u2026 cut here: the API gives all of it."
SHORT_FROM = 10_000
"""From here a number is written with a unit, as 24.0 k. Below, four digits are as short and say more."""
MOST_DEAD = 10_000
"""So many dead letters of a queue are counted at most (``queue_stats``): the number stands for more, too."""
FEW = 10
"""Below this a rate has a digit behind the point: of three a minute, a tenth is a difference that counts."""
LEAST_PERCENT = 0.1
"""The least share that is written as a number: one of a thousand. What is less is said to be less."""


def short(number: float | None) -> str:
    """A number in five characters or so: 9500, 24.0 k, 6.2 M."""
    if number is None:
        return NONE
    if number < SHORT_FROM:
        return f"{number:.0f}"
    size, unit = next((size, unit) for size, unit in _SIZES if number >= size)
    return f"{number / size:.{1 if number < 100 * size else 0}f}\u00a0{unit}"


def letters(number: float, of_one: float | None = None) -> str:
    """A number of dead letters, of which a queue has ``of_one`` at most, where it is of several. No more of a
    queue are counted than :data:`MOST_DEAD`.
    """
    return short(number) + ("+" if (number if of_one is None else of_one) >= MOST_DEAD else "")


def rate(number: float | None) -> str:
    """How many in a time: with a digit behind the point where there are few."""
    return f"{number:.1f}" if number is not None and 0 < number < FEW else short(number)


def percent(number: float | None) -> str:
    """A share: 0 %, 0.4 %, 12 %; never 0 % of something."""
    if number is None:
        return NONE
    if 0 < number < LEAST_PERCENT:
        return f"<\u2009{LEAST_PERCENT}\u00a0%"
    return f"{rate(number)}\u00a0%"


def exact(number: float | None) -> str:
    """A number with all its digits, in groups of three."""
    return NONE if number is None else f"{number:,.0f}"


def span(seconds: float | timedelta | None) -> str:
    """A span of time by its largest unit: 38 s, 7 min, 4 h."""
    if seconds is None:
        return NONE
    seconds = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    if seconds < 1:
        return f"{seconds * 1000:.0f}\u00a0ms"
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f}\u00a0{unit}"
    return f"{seconds:.3g}\u00a0s" if seconds < 10 else f"{seconds:.0f}\u00a0s"


def moment(at: datetime | None) -> Markup:
    """A moment beside now, with the exact one on hover; a script writes both in the viewer's zone."""
    if at is None:
        return Markup('<span class="muted">{}</span>').format(NONE)
    away = round((datetime.now(UTC) - at).total_seconds())
    text = f"{span(away)} ago" if away >= 0 else f"in {span(-away)}"
    whole = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}" data-age>{}</time>').format(
        whole.isoformat(), whole.strftime("%Y-%m-%d %H:%M:%S UTC"), text
    )


def segment(name: object) -> str:
    """A name as one part of a path: a slash in it ends nothing."""
    return quote(str(name), safe="")


def pretty(value: Any) -> str:
    """JSON with indentation, as it is read: of much, the beginning."""
    return cut(whole(value))


def whole(value: Any) -> str:
    """JSON with indentation, as it is edited."""
    return in_lines(value)


def cut(text: str) -> str:
    """A text; of a long one the beginning, and that there is more."""
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + CUT


def is_long(value: Any) -> bool:
    """Whether only the beginning of the JSON is shown."""
    return pretty(value).endswith(CUT)


def brief(value: Any) -> str:
    """JSON in one line, and no more of it than a line shows."""
    text = in_one_line(value)
    return text if len(text) <= LONGEST_BRIEF else text[:LONGEST_BRIEF] + "\u2026"


def has_secrets(value: Any) -> bool:
    """Whether something was left out of the value as a secret."""
    if isinstance(value, dict):
        return any(map(has_secrets, value.values()))
    return any(map(has_secrets, value)) if isinstance(value, list) else value == REDACTED


FILTERS = {
    "short": short,
    "exact": exact,
    "letters": letters,
    "rate": rate,
    "percent": percent,
    "span": span,
    "moment": moment,
    "segment": segment,
    "pretty": pretty,
    "whole": whole,
    "cut": cut,
    "is_long": is_long,
    "brief": brief,
    "has_secrets": has_secrets,
}
"""By the names that templates use."""
