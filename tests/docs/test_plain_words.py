"""Pages and docstrings name their subjects: a process is "the worker", never "nobody" or "whoever".

The rule is in CONTRIBUTING.md, with sentences before and after. Here are the words that break it most often.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "postmill"
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]
RIDDLES = re.compile(
    r"\b(?:whoever|whomever|whom|nobody|somebody|anybody|everybody|of ours|so many of|so often that)\b",
    re.IGNORECASE,
)
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def docstrings(text: str) -> Iterator[tuple[int, str]]:
    """Each string that stands alone as a statement, with its line."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str() as told)):
                yield node.lineno, CODE.sub("", told.replace("``", "`"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_its_subjects(page: Path) -> None:
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    assert [found[0] for found in RIDDLES.finditer(text)] == []


@pytest.mark.parametrize("room", sorted(path.parent.name for path in SOURCE.glob("*/__init__.py")))
def test_the_docstrings_of_a_room_name_their_subjects(room: str) -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{line}: {word[0]}"
        for path in sorted((SOURCE / room).rglob("*.py"))
        for line, told in docstrings(path.read_text(encoding="utf-8"))
        for word in RIDDLES.finditer(told)
    ]
    assert found == []
