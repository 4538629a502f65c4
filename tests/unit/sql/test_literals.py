"""A database may have standard_conforming_strings off: a backslash in a plain literal is an escape then. The
text of a function is read by each session that calls it.
"""

from __future__ import annotations

import re
from pathlib import Path

import postmill

SQL = Path(postmill.__file__).parent / "sql"
FILES = [path for path in sorted(SQL.rglob("*.sql")) if path.parent.name != "migrations"]
LITERAL = re.compile(r"(\b[eE])?'((?:[^'\n]|'')*)'")


def escapes(text: str) -> list[str]:
    """The plain literals that have a backslash."""
    code = re.sub(r"^\s*--.*$|\$re\$.*?\$re\$", "", text, flags=re.MULTILINE)
    return [found[0] for found in LITERAL.finditer(code) if not found[1] and "\\" in found[2]]


def test_no_plain_literal_has_a_backslash() -> None:
    assert len(FILES) > 500
    found = {str(path.relative_to(SQL)): escapes(path.read_text(encoding="utf-8")) for path in FILES}
    assert {name: literals for name, literals in found.items() if literals} == {}


def test_one_that_has_is_found() -> None:
    assert escapes(r"select 'a', e'\n', $re$\d'$re$, '\d' -- it's") == [r"'\d'"]
