"""Bars, lines and strips of figures over time. A chart is drawn into a field of any width: the numbers
here are places in it, and what is written beside it is HTML.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIELD = 100.0
"""Height of a field, and the width of one bar in it times :data:`STEP`: a hundred reads as percent."""
STEP = 10.0
"""How wide the place of one bar is. Ten: a bar of eight leaves a gap that is seen when it is drawn small."""
BAR = 8.0
"""How wide a bar is: four fifths of its place, so that neighbours are told apart."""
LEAST = 2.0
"""How high the lowest bar is that stands for something: below 2 of 100 it would not be seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a bar, of one series."""

    x: float
    y: float
    width: float
    height: float
    series: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars side by side, the series on top of each other."""

    width: float
    top: int
    """What the upper edge of the field stands for."""
    bars: tuple[Bar, ...]


def ceiling(value: float) -> int:
    """The next round number: 1, 2, 3 or 5 with zeros."""
    size = 1
    while True:
        for digit in (1, 2, 3, 5):
            if digit * size >= value:
                return digit * size
        size *= 10


def bars(series: Mapping[str, Sequence[float]]) -> Bars:
    """Bars of several series of equal length, the first at the bottom."""
    columns = list(zip(*series.values(), strict=True))
    top = ceiling(max((sum(column) for column in columns), default=0))
    drawn = [
        bar
        for number, column in enumerate(columns)
        for bar in _column(number * STEP, dict(zip(series, column, strict=True)), top)
    ]
    return Bars(len(columns) * STEP, top, tuple(drawn))


def _column(x: float, values: Mapping[str, float], top: int) -> list[Bar]:
    drawn: list[Bar] = []
    floor = FIELD
    for series, value in values.items():
        if value > 0:
            height = round(max(LEAST, value / top * FIELD), 2)
            floor = round(max(0.0, floor - height), 2)
            drawn.append(Bar(x + (STEP - BAR) / 2, floor, BAR, height, series))
    return drawn


@dataclass(frozen=True, slots=True)
class Curve:
    """A line."""

    width: float
    top: int
    path: str
    """As SVG's ``d``; where a value is missing the line is broken."""


def curve(values: Sequence[float | None], top: int | None = None) -> Curve:
    """A line through values at equal distances; ``top`` makes several comparable."""
    highest = (
        ceiling(max((value for value in values if value is not None), default=0)) if top is None else top
    )
    parts: list[str] = []
    drawing = False
    for number, value in enumerate(values):
        if value is not None:
            height = FIELD - min(1.0, max(0.0, value / highest)) * FIELD
            parts.append(f"{'L' if drawing else 'M'}{number * STEP:g} {round(height, 2):g}")
        drawing = value is not None
    return Curve(max(0, len(values) - 1) * STEP, highest, "".join(parts))


@dataclass(frozen=True, slots=True)
class Mark:
    """One of a strip of things that have happened."""

    x: float
    state: str
    title: str


def strip(happened: Sequence[tuple[str, str]], places: int) -> tuple[Mark, ...]:
    """The last ``places`` states with their titles, the latest at the right edge."""
    shown = happened[-places:]
    first = places - len(shown)
    return tuple(Mark((first + number) * STEP, state, title) for number, (state, title) in enumerate(shown))
