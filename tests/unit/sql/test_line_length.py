"""Lines of SQL end at 120 characters: a diff shows lines, and long ones are cut off."""

from __future__ import annotations

from pathlib import Path

import postmill

SQL = Path(postmill.__file__).parent / "sql"
WIDTH = 120  # as wide as a line of prose
EXEMPT = {f"000{number}" for number in range(1, 6)}
"""Migrations older than this rule: databases keep the digest of what has run, so their text never changes."""
FILES = [path for path in sorted(SQL.rglob("*.sql")) if path.name[:4] not in EXEMPT]

INSTALLED = [
    path
    for folder in ("migrations", "functions", "views", "compat")
    for path in (SQL / folder).rglob("*.sql")
]


def too_long(text: str) -> list[int]:
    """The numbers of the lines that are too long."""
    return [number for number, line in enumerate(text.split("\n"), 1) if len(line) > WIDTH]


def test_no_line_of_sql_is_too_long() -> None:
    assert len(FILES) > 500
    # By the whole path: two files of one name hid each other's lines.
    found = {str(path.relative_to(SQL)): too_long(path.read_text(encoding="utf-8")) for path in FILES}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_long_line_is_found() -> None:
    assert too_long(f"select 1;\nselect {'1, ' * 40}1;\n") == [2]


def test_what_a_migration_installs_is_ascii() -> None:
    """A database may have another encoding than UTF-8: what it can't hold would stop the migration."""
    assert len(INSTALLED) > 300
    assert [path.name for path in INSTALLED if not path.read_bytes().isascii()] == []
