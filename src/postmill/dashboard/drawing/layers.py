"""A graph laid out in layers: what needs nothing at the top, everything else one layer below the lowest that
it needs. Knows numbers and widths, and neither steps nor SVG.

As in the method of Sugiyama: layers by longest path, a bend in each layer that an edge passes, an order that
is improved by the mean place of the neighbours, and then places as near to the neighbours as there is room.

Nodes are numbered from 0 in such an order that each edge leads forward; the numbers after them are bends.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SWEEPS = 6
"""Times that the order is improved, down and up in turn. Six: with more, drawings of 500 steps hardly change,
and each sweep takes a millisecond.
"""
MOST_BENDS = 4000
"""Bends of all edges at most; beyond that, edges go straight. A flow of 300 steps in a row that each read the
first one has 44,000: so many lines are a grey area in any order.
"""
BEND = 0.25
"""How wide the place of a bend is, where that of a node is 1: some lines fit between two nodes."""

Edge: TypeAlias = tuple[int, int]
Near: TypeAlias = list[list[int]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands."""

    at: Sequence[float]
    """The middle of each node and bend from the left, in widths of a node."""
    layer: Sequence[int]
    """Of each node and bend."""
    chains: Sequence[Sequence[int]]
    """Of each edge: where it begins, its bends, and where it ends."""
    width: float
    layers: int


def layers(count: int, edges: Iterable[Edge]) -> list[int]:
    """The layer of each node."""
    found = [0] * count
    for source, target in sorted(edges):  # what leads to a source comes before what leads from it
        found[target] = max(found[target], found[source] + 1)
    return found


def laid_out(count: int, edges: Sequence[Edge], layer: Sequence[int] | None = None) -> Layout:
    """The layout of a graph; always the same for the same graph. ``layer``: when it is known."""
    placed = list(layers(count, edges) if layer is None else layer)
    depth = max(placed, default=-1) + 1
    chains = _chains(edges, placed)
    rows: list[list[int]] = [[] for _ in range(depth)]
    for place, number in enumerate(placed):
        rows[number].append(place)
    above, below = _neighbours(chains, len(placed))
    ways = ((rows, above), (rows[::-1], below))
    shares = [0.0] * len(placed)
    for sweep in range(SWEEPS):
        _order(*ways[sweep % 2], shares)
    widths = [1.0] * count + [BEND] * (len(placed) - count)
    at = [0.0] * len(placed)
    for sweep in range(SWEEPS):
        towards, near = ways[sweep % 2]
        for row in towards:
            _settle(row, near, widths, at)
    left = min((x - width / 2 for x, width in zip(at, widths, strict=True)), default=0.0)
    right = max((x + width / 2 for x, width in zip(at, widths, strict=True)), default=0.0)
    return Layout([x - left for x in at], placed, chains, right - left, depth)


def _chains(edges: Sequence[Edge], layer: list[int]) -> list[list[int]]:
    """Numbers the bends of the edges, and adds their layers."""
    straight = sum(layer[target] - layer[source] - 1 for source, target in edges) > MOST_BENDS
    chains: list[list[int]] = []
    for source, target in edges:
        passed = () if straight else range(layer[source] + 1, layer[target])
        chains.append([source, *range(len(layer), len(layer) + len(passed)), target])
        layer.extend(passed)
    return chains


def _neighbours(chains: Iterable[Sequence[int]], count: int) -> tuple[Near, Near]:
    above: Near = [[] for _ in range(count)]
    below: Near = [[] for _ in range(count)]
    for chain in chains:
        for upper, lower in pairwise(chain):
            above[lower].append(upper)
            below[upper].append(lower)
    return above, below


def _order(rows: Sequence[list[int]], near: Near, shares: list[float]) -> None:
    """Orders each row by the mean place of its neighbours; what has none keeps its place. ``shares``: how far
    right each stands, from 0 to 1.
    """
    for row in rows:
        last = max(1, len(row) - 1)
        wanted = {place: _mean(near[place], shares, number / last) for number, place in enumerate(row)}
        row.sort(key=wanted.__getitem__)
        for number, place in enumerate(row):
            shares[place] = number / last


def _mean(places: list[int], values: Sequence[float], otherwise: float) -> float:
    return sum([values[place] for place in places]) / len(places) if places else otherwise


def _settle(row: Sequence[int], near: Near, widths: Sequence[float], at: list[float]) -> None:
    """Places a row as near to its neighbours as its order and the widths allow: least squares, by pooling
    those that would overlap (isotonic regression).
    """
    pools: list[tuple[float, int]] = []
    offsets: list[float] = []
    end = 0.0
    for place in row:
        offsets.append(end + widths[place] / 2)
        end += widths[place]
        total, size = _mean(near[place], at, at[place]) - offsets[-1], 1
        while pools and pools[-1][0] / pools[-1][1] > total / size:
            total, size = total + pools[-1][0], size + pools[-1][1]
            pools.pop()
        pools.append((total, size))
    settled = [total / size for total, size in pools for _ in range(size)]
    for place, base, offset in zip(row, settled, offsets, strict=True):
        at[place] = base + offset
