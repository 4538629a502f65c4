"""Graphs in layers."""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.dashboard.drawing.layers import BEND, Edge, Layout, laid_out, layers


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[Edge]]:
    count = draw(st.integers(1, 25))
    pairs = list(combinations(range(count), 2))
    return count, draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []


def rows_of(layout: Layout) -> list[list[int]]:
    """Each layer's nodes and bends from the left."""
    rows: list[list[int]] = [[] for _ in range(layout.layers)]
    for place in sorted(range(len(layout.at)), key=layout.at.__getitem__):
        rows[layout.layer[place]].append(place)
    return rows


def crossings(layout: Layout, at: list[float] | None = None) -> int:
    """Pairs of lines between neighbouring layers that cross."""
    stands = layout.at if at is None else at
    lines: dict[int, list[tuple[float, float]]] = {}
    for chain in layout.chains:
        for upper, lower in pairwise(chain):
            lines.setdefault(layout.layer[upper], []).append((stands[upper], stands[lower]))
    return sum(
        (a[0] - b[0]) * (a[1] - b[1]) < 0 for between in lines.values() for a, b in combinations(between, 2)
    )


@given(graphs())
def test_edges_lead_down_and_nothing_overlaps(graph: tuple[int, list[Edge]]) -> None:
    count, edges = graph
    layout = laid_out(count, edges)
    for (source, target), chain in zip(edges, layout.chains, strict=True):
        assert (chain[0], chain[-1]) == (source, target)
        assert [layout.layer[place] for place in chain] == [
            *range(layout.layer[source], layout.layer[target] + 1)
        ]
    widths = [1.0 if place < count else BEND for place in range(len(layout.at))]
    for row in rows_of(layout):
        for left, right in pairwise(row):
            assert layout.at[right] - layout.at[left] >= (widths[left] + widths[right]) / 2 - 1e-6
    for x, width in zip(layout.at, widths, strict=True):
        assert width / 2 - 1e-6 <= x <= layout.width - width / 2 + 1e-6


@given(graphs())
def test_the_same_graph_is_laid_out_the_same(graph: tuple[int, list[Edge]]) -> None:
    assert laid_out(*graph) == laid_out(*graph)


def test_a_node_stands_below_the_lowest_that_it_needs() -> None:
    assert layers(4, [(2, 3), (0, 3), (0, 1), (1, 2)]) == [0, 1, 2, 3]


def test_lines_are_untangled() -> None:
    """Twelve pairs in opposite orders cross 66 times as they were defined."""
    edges = [(number, 23 - number) for number in range(12)]
    layout = laid_out(24, edges)
    assert crossings(layout, [float(number) for number in range(24)]) == 66
    assert crossings(layout) == 0
    assert all(layout.at[source] == pytest.approx(layout.at[target]) for source, target in edges)


def test_a_diamond_is_symmetric() -> None:
    layout = laid_out(4, [(0, 1), (0, 2), (1, 3), (2, 3)])
    assert layout.at[0] == pytest.approx(layout.at[3]) == pytest.approx(layout.width / 2)


def test_edges_go_straight_where_bends_would_be_too_many() -> None:
    layout = laid_out(300, [*pairwise(range(300)), *((0, number) for number in range(2, 300))])
    assert layout.layers == 300
    assert {len(each) for each in layout.chains} == {2}


def test_a_drawing_crosses_less_than_the_order_of_definition() -> None:
    lot = random.Random(7)
    pairs = ((lot.randrange(60), lot.randrange(60)) for _ in range(120))
    layout = laid_out(60, [(source, target) for source, target in pairs if source < target])
    as_defined = [float(number) for number in range(len(layout.at))]
    assert crossings(layout) < crossings(layout, as_defined) * 0.7
