"""The walks of the architecture page are the code's: each file exists, and is reached as its note says."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
SOURCE = ROOT / "src" / "postmill"
WALK = re.compile(r"^### (?P<name>A [^\n]+)$(?P<steps>.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
STEP = re.compile(
    r"^(?P<number>\d+)\. `(?P<file>[^`]+)`: (?P<text>.*?)(?=^\d+\. |\Z)", re.MULTILINE | re.DOTALL
)
NOTE = re.compile(
    r"\*(?:`(?P<by>[^`]+)` imports the next|(?P<word>Imports the next|The next imports it))\.\*\s*\Z"
)
PATH = re.compile(r"`([a-z_0-9/]+\.(?:py|sql))`")
WALKS = {walk["name"]: list(STEP.finditer(walk["steps"])) for walk in WALK.finditer(PAGE)}


@cache
def imported(file: str) -> frozenset[str]:
    """What a file of the product imports directly, inside functions and for types too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((SOURCE / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
        elif isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
    return frozenset(names)


def imports(one: str, other: str) -> bool:
    return "postmill." + other.removesuffix(".py").replace("/", ".") in imported(one)


def reached(step: re.Match[str], following: str, so_far: list[str]) -> bool:
    """Whether the note of a step is there and true."""
    note = NOTE.search(" ".join(step["text"].split()))
    if note is None:
        return False
    if note["word"] == "Imports the next":
        return imports(step["file"], following)
    if note["word"]:
        return imports(following, step["file"])
    known = note["by"] in so_far or any(imports(note["by"], file) for file in so_far)
    return known and imports(note["by"], following)


def test_there_are_three_walks() -> None:
    assert sorted(WALKS) == ["A message", "A request", "A send"]


@pytest.mark.parametrize("name", WALKS)
def test_each_file_of_a_walk_leads_to_the_next_as_the_page_says(name: str) -> None:
    steps = WALKS[name]
    files = [step["file"] for step in steps]
    assert [int(step["number"]) for step in steps] == list(range(1, len(steps) + 1))
    assert [file for file in files if not (SOURCE / file).is_file()] == []
    untrue = [
        f"{step['file']} -> {files[number]}"
        for number, step in enumerate(steps[:-1], 1)
        if not reached(step, files[number], files[:number])
    ]
    assert untrue == []


def test_every_file_that_the_page_names_exists() -> None:
    named = {name for name in PATH.findall(PAGE) if "/" in name}
    assert [name for name in sorted(named) if not (SOURCE / name).is_file()] == []


def test_every_room_is_in_the_table_of_rooms() -> None:
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    rooms = [path.parent.name for path in SOURCE.glob("*/__init__.py")]
    assert [room for room in sorted(rooms) if f"`{room}`" not in table] == []
