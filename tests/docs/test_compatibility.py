"""The page of servers names what is asked of one, and no test that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from postmill.db.tools import server_needs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "compatibility.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (?P<name>[^|]+) \| [^|]+ \| (?P<known>[^|]+) \|$", re.MULTILINE)


def test_every_need_stands_on_the_page() -> None:
    needs = [need.name for need in (server_needs.AT_ONCE, *server_needs.OF_SESSIONS, *server_needs.OF_ROWS)]
    assert [name for name in needs if f"| {name} |" not in PAGE] == []


def test_each_line_says_how_it_is_known() -> None:
    """Run, by a test; or read, with its address. Whatever refers to another line says so."""
    rows = [row for row in ROW.finditer(PAGE) if row["name"] not in {"server", "pooler", "---"}]
    rows = [row for row in rows if not row["name"].startswith("what decides")]
    assert len(rows) > 20
    unknown = [row["name"] for row in rows if not re.match(r"run\b|read: ", row["known"])]
    assert unknown == []
    told = ("](http", "see above", "coordinator", "says")
    vague = [
        row["name"] for row in rows if "read: " in row["known"] and not any(t in row["known"] for t in told)
    ]
    assert vague == []


def test_the_tests_that_it_names_are_there() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))
    assert len(named) > 4
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []
