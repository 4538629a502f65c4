"""Functions that keep the planner from a way of doing things keep it from compiling their statements too."""

from __future__ import annotations

import re

import pytest

from postmill.sql.catalog import scripts

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
