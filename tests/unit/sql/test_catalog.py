"""Statements are found by name, and each stands in the room that binds it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import postmill
from postmill.sql import catalog

ROOT = Path(postmill.__file__).parent
STATEMENTS = ROOT / "sql" / "statements"
PACKAGES = {"tools": "db/tools", "hot": "db/hot", "reads": "db/reads"}
"""Rooms of statements whose package has a longer name."""


def test_a_name_stands_in_one_room_only() -> None:
    """A second file of the same name would hide the first."""
    names = Counter(path.stem for path in STATEMENTS.rglob("*.sql"))
    assert [name for name, count in names.items() if count > 1] == []


def code_of(room: str) -> str:
    """All Python text of the package that binds a room's statements."""
    package = ROOT / PACKAGES.get(room, room)
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(package.rglob("*.py")))


def test_a_statement_is_bound_by_its_room() -> None:
    """What nothing binds any more is deleted, and what moves takes its statement along."""
    rooms: dict[str, list[str]] = {}
    for path in sorted(STATEMENTS.rglob("*.sql")):
        rooms.setdefault(path.parent.name, []).append(path.stem)
        assert catalog.statement(path.stem) is not None  # some are nothing but lines of flags
    assert sum(map(len, rooms.values())) > 200
    code = {room: code_of(room) for room in rooms}
    unbound = [
        (room, name)
        for room, names in rooms.items()
        for name in names
        if not re.search(rf"[\"']{name}\b", code[room])
    ]
    assert unbound == []


def test_an_unknown_name_is_an_error() -> None:
    """A typing error ends a test, and not a user's worker in silence."""
    with pytest.raises(LookupError):
        catalog.statement("no_such_statement")


def test_functions_share_parts_with_statements() -> None:
    """What becomes of a cancelled message is said once: for the function and for the worker's statement."""
    functions = dict(catalog.scripts("functions"))
    assert "insert into postmill.cancellations (queue_name, msg_id, cancelled_at" in functions["_cancel"]
    assert not [name for name, text in functions.items() if "--+" in text]
