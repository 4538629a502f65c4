"""Functions that keep the planner from a way of doing things keep it from compiling their statements too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import postmill

FUNCTIONS = Path(postmill.__file__).parent / "sql" / "functions"
PINNED = [
    path
    for path in sorted(FUNCTIONS.glob("*.sql"))
    if re.search(r"^set enable_\w+ = off", path.read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.stem)
def test_a_pinned_function_is_not_compiled(path: Path) -> None:
    """Before PostgreSQL 18 a way that can't be done without costs 10,000,000,000: any such plan was compiled,
    at a tenth of a second a statement.
    """
    assert re.search(r"^set jit = off", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_there_are_such_functions() -> None:
    assert len(PINNED) > 20
