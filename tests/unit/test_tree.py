"""Unit tests stand in the same tree as the code: a newcomer finds the tests of a file by its folder."""

from __future__ import annotations

from pathlib import Path

UNIT = Path(__file__).parent
SOURCE = UNIT.parents[1] / "src" / "postmill"
OF_ALL_ROOMS = {
    "test_homes.py",
    "test_imports.py",
    "test_sizes.py",
    "test_numbers.py",
    "test_properties.py",
    "test_tree.py",
}
"""Tests that look at every room, or at the tests themselves."""


def test_every_unit_test_stands_in_the_folder_of_the_code_that_it_tests() -> None:
    folders = {path.parent.relative_to(UNIT) for path in UNIT.rglob("test_*.py")} - {Path()}
    assert [
        str(folder) for folder in sorted(folders) if not (SOURCE / folder / "__init__.py").is_file()
    ] == []


def test_only_tests_of_all_rooms_stand_outside_the_rooms() -> None:
    assert {path.name for path in UNIT.glob("test_*.py")} <= OF_ALL_ROOMS
