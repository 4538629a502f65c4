"""Prose in Markdown ends its lines at 120 characters: a diff shows lines, and long ones are cut off."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]
WIDTH = 120  # as wide as a line of a docstring may be
FENCED = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+).*?^(?P=indent)(?P=fence)", re.MULTILINE | re.DOTALL)
NO_PROSE = re.compile(r"\s*(?:\||#+ |<|\[[^\]]+\]: )")  # a table, a heading, HTML, a link's definition
MARKER = re.compile(r"\s*(?:(?:[-*+]|\d+[.)])\s+)?")
UNBREAKABLE = re.compile(r"`[^`]+`|!?\[[^\]]*\](?:\([^)]*\))*")


def too_long(text: str) -> list[int]:
    """The numbers of the lines of prose that could have been broken earlier."""
    prose = FENCED.sub(lambda block: "\n" * block[0].count("\n"), text)
    return [number for number, line in enumerate(prose.split("\n"), 1) if breakable(line)]


def breakable(line: str) -> bool:
    """Whether a line is too long although it holds more than one piece of code or link."""
    if len(line) <= WIDTH or NO_PROSE.match(line):
        return False
    return " " in UNBREAKABLE.sub("x", MARKER.sub("", line, count=1)).strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_line_of_prose_is_too_long(page: Path) -> None:
    assert too_long(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("start", ["", "- ", "  ", "12. "])
def test_a_long_line_of_prose_is_found(start: str) -> None:
    assert too_long(f"one\n\n```sh\ncode\n```\n{start}{'word ' * 30}\n") == [6]


@pytest.mark.parametrize(
    "text",
    [
        f"| {'cell ' * 30} |",
        f"## {'word ' * 30}",
        f"```sh\n{'word ' * 30}\n```",
        f"- [{'word ' * 30}](page.md)",
        f"[name]: page.md {'word ' * 30}",
        f"`{'word ' * 30}`",
    ],
)
def test_what_cannot_be_broken_may_be_longer(text: str) -> None:
    assert too_long(text) == []
