"""The page on parity has a row for each promise of other systems' pages: theirs, ours, and a test.

Whether a test shows what its row says is read by people; that it is there is checked here.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "parity.md"
SOURCES = (
    "Edge Worker: its readme",
    "Edge Worker: common questions",
    "Edge Worker: configuration",
    "Edge Worker: your first worker",
    "Edge Worker: installation",
    "Edge Worker: observability",
    "Edge Worker: how it works",
    "Edge Worker: deployment",
    "Edge Worker: the connection's address",
    "Edge Worker: project status",
    "pgflow: what it is",
    "waitUntil, pg_cron and pgmq",
    "Supaqueue: its readme",
    "Supaworker: its readme",
)
"""The pages that promise or ask something, each with a section of its own, in this order."""
LINKED_FROM = (
    "README.md",
    "coming-from/edge-worker.md",
    "coming-from/pg-cron.md",
    "coming-from/supabase-edge-functions.md",
    "coming-from/supaqueue.md",
    "coming-from/supaworker.md",
)
HEADER = ["theirs", "ours", "shown by"]
TEST = re.compile(r"`(?P<path>tests/[\w/]+\.py)::(?P<name>test_\w+)`")
LINK = re.compile(r"\[[^\]]+\]\([^)]+\)")


def cells(line: str) -> list[str]:
    """The cells of a table's line. A bar that is escaped stands in a cell."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def sections() -> dict[str, list[list[str]]]:
    """The rows of each section's table, without the heading and the line below it."""
    _, *parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    tables = ([cells(line) for line in body.splitlines() if line.startswith("|")] for body in parts[1::2])
    found = dict(zip(parts[::2], tables, strict=True))
    assert all(table[0] == HEADER for table in found.values())
    return {heading: table[2:] for heading, table in found.items()}


ROWS = [row for table in sections().values() for row in table]


@cache
def defined_in(path: str) -> set[str]:
    """The names of the tests that a file defines."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_page_has_its_section() -> None:
    found = sections()
    assert tuple(found) == SOURCES
    assert all(found.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_no_row_has_an_empty_cell(row: list[str]) -> None:
    assert len(row) == len(HEADER)
    assert all(row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_each_row_names_tests_that_exist(row: list[str]) -> None:
    """Only what is not here may name the page that says so in place of a test."""
    *_, ours, shown_by = row
    named = list(TEST.finditer(shown_by))
    assert [match[0] for match in named if match["name"] not in defined_in(match["path"])] == []
    rest = TEST.sub("", shown_by)
    if ours.startswith("Not here"):
        assert named or LINK.search(rest)
        rest = LINK.sub("", rest)
    else:
        assert named
    assert rest.replace(",", "").strip() == "", "nothing else stands in this cell"


@pytest.mark.parametrize("page", LINKED_FROM)
def test_the_page_is_linked_from(page: str) -> None:
    target = "explanation/parity.md" if page == "README.md" else "../explanation/parity.md"
    assert f"]({target}" in (ROOT / "docs" / page).read_text(encoding="utf-8")
