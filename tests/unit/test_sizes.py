"""Files and functions keep to the size that a reader takes in at once."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median

import postmill

SOURCE = Path(postmill.__file__).parent
FILES = {
    path.relative_to(SOURCE).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(SOURCE.rglob("*.py"))
}
"""By the whole path: files of one name hid each other."""
LONGEST_FILE = 350
LONGEST_FUNCTION = 40


def functions() -> list[tuple[int, str]]:
    """The lines of each function, and where it stands."""
    return [
        ((node.end_lineno or 0) - node.lineno + 1, f"{path}:{node.lineno} {node.name}")
        for path, text in FILES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_no_file_is_too_long() -> None:
    lengths = {path: len(text.splitlines()) for path, text in FILES.items()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}
    assert 80 <= median(lines for lines in lengths.values() if lines > 3) <= 150


def test_no_function_is_too_long() -> None:
    found = functions()
    assert [each for each in found if each[0] > LONGEST_FUNCTION] == []
    assert median(lines for lines, _ in found) <= 6
