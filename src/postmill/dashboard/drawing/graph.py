"""The picture of a flow: its steps as boxes with their states, what needs what as lines between them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postmill.dashboard.drawing.layers import Layout, laid_out, layers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from postmill.dashboard.drawing.layers import Edge

WIDTH = 172
"""Pixels of a box: a sign and 18 letters of 12 pixels, which is what most names of steps have."""
HEIGHT = 46
"""Pixels of a box: two lines of 16, the name and the state, and the space of 7 round them."""
ACROSS = 24
"""Pixels between two boxes side by side: the space 24 of the visual language, enough for six lines."""
DOWN = 48
"""Pixels between two layers. 48: a condition of 16 fits, and a line that crosses the page bends softly."""
EDGE = 8
"""Pixels round the picture, so that the outline of a box in focus is not cut off."""
LETTERS = 18
"""Letters of a name that fit into a box. A CJK letter counts twice, as it is twice as wide."""
LETTERS_ABOVE = 24
"""Letters of a condition that fit above a box, where nothing stands beside it; its title has all of it."""
WHOLE = 200
"""Steps that are drawn one by one. Above 200 a picture is larger than any screen, and what matters is how
many steps of each layer have got how far.
"""
BANDS = 24
"""Rows of a folded picture at most. 24 rows of 94 pixels: two screens to scroll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step as the picture needs it."""

    name: str
    kind: str = "step"
    state: str = "waiting"
    needs: tuple[str, ...] = ()
    condition: str = ""
    """In words; empty: it always runs."""
    tasks: int | None = None
    """Of a map: how many items it has, and how many have ended."""
    done: int = 0


@dataclass(frozen=True, slots=True)
class Box:
    """A step, or several of one layer that are in the same state."""

    steps: tuple[Step, ...]
    x: float
    """Of its left upper corner."""
    y: float

    @property
    def state(self) -> str:
        """The state of all of them."""
        return self.steps[0].state

    @property
    def is_folded(self) -> bool:
        """Whether it stands for several."""
        return len(self.steps) > 1

    @property
    def name(self) -> str:
        """What it is called in full."""
        return f"{len(self.steps):,} steps" if self.is_folded else self.steps[0].name

    @property
    def label(self) -> str:
        """What fits of the name."""
        return shortened(self.name, LETTERS)

    @property
    def condition(self) -> str:
        """When it runs."""
        return "" if self.is_folded else self.steps[0].condition

    @property
    def when(self) -> str:
        """What fits of the condition."""
        return shortened(self.condition, LETTERS_ABOVE)

    @property
    def note(self) -> str:
        """What stands beside the state: items of a map, or what kind of step it is."""
        step = self.steps[0]
        if self.is_folded or step.kind == "step":
            return ""
        return step.kind if step.tasks is None else f"{step.done:,} of {step.tasks:,}"


@dataclass(frozen=True, slots=True)
class Line:
    """From one box to a later one."""

    path: str
    """As SVG's ``d``."""
    state: str
    """Of the box where it begins."""
    conditional: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """All that a template writes."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    steps: int

    @property
    def is_folded(self) -> bool:
        """Whether boxes stand for several steps."""
        return len(self.boxes) < self.steps


def picture(steps: Sequence[Step], *, whole: bool = False) -> Picture:
    """The picture of a flow, in order of definition; folded above :data:`WHOLE` steps unless ``whole``."""
    edges = _edges(steps)
    if len(steps) > WHOLE and not whole:
        return _folded(steps, edges)
    return _drawn([(step,) for step in steps], edges, laid_out(len(steps), edges))


def _edges(steps: Sequence[Step]) -> list[Edge]:
    """What needs what, each once. Only what leads forward: nothing else is a flow, whatever was written into
    the database by hand.
    """
    place = {step.name: number for number, step in enumerate(steps)}
    wanted = ((place[need], place[step.name]) for step in steps for need in step.needs if need in place)
    return list(dict.fromkeys((source, target) for source, target in wanted if source < target))


def shortened(name: str, letters: int) -> str:
    """The beginning of a name, with an ellipsis where something is missing."""
    room = letters
    for place, letter in enumerate(name):
        room -= 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if room < 0:
            return name[: max(0, place - 1)] + "…"
    return name


def _folded(steps: Sequence[Step], edges: Sequence[Edge]) -> Picture:
    """One box for all steps of a band of layers that are in the same state."""
    layer = layers(len(steps), edges)
    depth = max(layer) + 1
    band = [number * min(depth, BANDS) // depth for number in layer]
    groups: dict[tuple[int, str], list[Step]] = {}
    for number in sorted(range(len(steps)), key=band.__getitem__):
        groups.setdefault((band[number], steps[number].state), []).append(steps[number])
    place = {key: number for number, key in enumerate(groups)}
    group = [place[key] for key in zip(band, (step.state for step in steps), strict=True)]
    between = dict.fromkeys(
        (group[source], group[target])
        for source, target in edges
        if band[source] < band[target]  # within a band lines would lead both ways
    )
    layout = laid_out(len(groups), list(between), [number for number, _ in groups])
    return _drawn([tuple(members) for members in groups.values()], list(between), layout)


def _drawn(groups: Sequence[tuple[Step, ...]], edges: Sequence[Edge], layout: Layout) -> Picture:
    boxes = tuple(
        Box(members, _x(layout, number) - WIDTH / 2, _y(layout, number))
        for number, members in enumerate(groups)
    )
    lines = tuple(
        Line(_path(layout, chain, len(groups)), groups[source][0].state, bool(boxes[target].condition))
        for (source, target), chain in zip(edges, layout.chains, strict=True)
    )
    width = round(layout.width * (WIDTH + ACROSS) - ACROSS + 2 * EDGE)
    height = layout.layers * (HEIGHT + DOWN) + 2 * EDGE
    return Picture(width if boxes else 0, height if boxes else 0, boxes, lines, sum(map(len, groups)))


def _x(layout: Layout, place: int) -> float:
    """Of the middle."""
    return round(layout.at[place] * (WIDTH + ACROSS) - ACROSS / 2 + EDGE, 1)


def _y(layout: Layout, place: int) -> float:
    """Of the upper edge; above the first layer too there is room for a condition."""
    return EDGE + DOWN // 2 + layout.layer[place] * (HEIGHT + DOWN)


def _path(layout: Layout, chain: Sequence[int], nodes: int) -> str:
    """From the lower edge of the first box to the upper edge of the last, upright through each bend."""
    x, y = _x(layout, chain[0]), _y(layout, chain[0]) + HEIGHT
    parts = [f"M{x:g} {y:g}"]
    for place in chain[1:]:
        to_x, to_y = _x(layout, place), _y(layout, place)
        middle = (y + to_y) / 2
        parts.append(f"C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {to_y:g}")
        x, y = to_x, to_y
        if place >= nodes:
            y += HEIGHT
            parts.append(f"V{y:g}")
    return "".join(parts)


def counts(steps: Iterable[Step]) -> dict[str, int]:
    """How many steps are in each state, in the order in which the states first come."""
    found: dict[str, int] = {}
    for step in steps:
        found[step.state] = found.get(step.state, 0) + 1
    return found
