"""No two modules of the product import each other, not even for types or through a third."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import postmill

ROOT = Path(postmill.__file__).parent


def modules(root: Path) -> dict[str, Path]:
    """Each module below a package's folder, by its full name."""
    names = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        names[".".join(parts).removesuffix(".__init__")] = path
    return names


def imported(path: Path, known: dict[str, Path]) -> set[str]:
    """The package's own modules that a file imports anywhere: at the top, for types or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in names}
    return found & known.keys()


def check_circles(root: Path) -> None:
    """Raises ``CycleError``, which names the modules of one circle."""
    known = modules(root)
    TopologicalSorter({name: imported(path, known) for name, path in known.items()}).prepare()


def test_no_modules_import_each_other_in_a_circle() -> None:
    check_circles(ROOT)


@pytest.mark.parametrize(
    "back",
    [
        "import house.first",
        "from house import first",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.first import A",
        "def late():\n    from house.first import A",
    ],
)
def test_a_planted_circle_is_found(tmp_path: Path, back: str) -> None:
    house = tmp_path / "house"
    house.mkdir()
    (house / "__init__.py").touch()
    (house / "first.py").write_text("from house.second import B\nA = 1\n")
    (house / "second.py").write_text(f"B = 1\n{back}\n")
    with pytest.raises(CycleError, match="in a cycle"):
        check_circles(house)
