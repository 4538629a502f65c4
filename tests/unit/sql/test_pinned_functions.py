"""Functions that keep the planner from a way of doing things keep it from compiling their statements too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import postmill
from postmill.sql.catalog import scripts

SQL = Path(postmill.__file__).parent / "sql"
PINNED = {
    name: text
    for name, text in scripts("functions")
    if re.search(r"^set enable_\w+ = off", text, re.MULTILINE)
}


@pytest.mark.parametrize("name", PINNED)
def test_a_pinned_function_is_not_compiled(name: str) -> None:
    """Before PostgreSQL 18 a way that can't be done without costs 10,000,000,000: any such plan was compiled,
    at a tenth of a second a statement.
    """
    assert re.search(r"^set jit = off", PINNED[name], re.MULTILINE)


def test_there_are_such_functions() -> None:
    assert len(PINNED) > 20


def test_what_calls_pgmq_reads_literals_as_pgmq_is_written() -> None:
    """It has backslashes in plain literals, which ``standard_conforming_strings`` = off makes escapes."""
    calling = {
        path: text
        for folder in ("functions", "compat")
        for path in (SQL / folder).rglob("*.sql")
        if re.search(r"^[^'-]*\bpgmq\.\w+\(", text := path.read_text(), re.MULTILINE)
    }
    assert len(calling) > 9
    without = [
        path.name for path, text in calling.items() if "set standard_conforming_strings = on" not in text
    ]
    assert without == []
