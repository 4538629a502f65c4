"""How templates write numbers, spans of time, moments and links. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SIZES = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))
NONE = "\u2013"
"""Stands where there is no value, so that a cell is not taken for one that failed to load."""
SHORT_FROM = 10_000
"""From here a number is written with a unit, as 24.0 k. Below, four digits are as short and say more."""


def short(number: float | None) -> str:
    """A number in five characters or so: 9500, 24.0 k, 6.2 M."""
    if number is None:
        return NONE
    if number < SHORT_FROM:
        return f"{number:.0f}"
    size, unit = next((size, unit) for size, unit in _SIZES if number >= size)
    return f"{number / size:.{1 if number < 100 * size else 0}f}\u00a0{unit}"


def exact(number: float | None) -> str:
    """A number with all its digits, in groups of three."""
    return NONE if number is None else f"{number:,.0f}"


def span(seconds: float | timedelta | None) -> str:
    """A span of time by its largest unit: 38 s, 7 min, 4 h."""
    if seconds is None:
        return NONE
    seconds = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f}\u00a0{unit}"
    return f"{seconds:.3g}\u00a0s" if 0 < seconds < 10 else f"{seconds:.0f}\u00a0s"


def moment(at: datetime | None) -> Markup:
    """A moment beside now, with the exact one on hover; a script writes both in the viewer's zone."""
    if at is None:
        return Markup('<span class="muted">{}</span>').format(NONE)
    away = (datetime.now(UTC) - at).total_seconds()
    text = f"{span(away)} ago" if away >= 0 else f"in {span(-away)}"
    whole = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}" data-age>{}</time>').format(
        whole.isoformat(), whole.strftime("%Y-%m-%d %H:%M:%S UTC"), text
    )


def segment(name: object) -> str:
    """A name as one part of a path. It is encoded twice, since a server decodes once before it routes."""
    return quote(quote(str(name), safe=""), safe="")


def pretty(value: Any) -> str:
    """JSON with indentation, as it is read and edited."""
    return json.dumps(value, indent=2, ensure_ascii=False)


FILTERS = {
    "short": short,
    "exact": exact,
    "span": span,
    "moment": moment,
    "segment": segment,
    "pretty": pretty,
}
"""By the names that templates use."""
