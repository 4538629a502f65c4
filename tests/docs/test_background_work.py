"""The page on architecture names each file that starts work in the background: why it is no service."""

from __future__ import annotations

import ast
from pathlib import Path

import postmill

SOURCE = Path(postmill.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "architecture.md"
STARTS = {"create_task", "new_task", "ensure_future", "Thread", "call_later", "call_at"}
NOT_THE_PRODUCT = {"bench", "testing"}


def starts_work(path: Path) -> bool:
    """Whether the file starts a task, a thread or a timer."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}
    return bool(names & STARTS)


def test_each_file_that_starts_work_in_the_background_is_named() -> None:
    section = PAGE.read_text("utf-8").partition("is no service\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {name.strip(" `") for row in rows for name in row.split("·")}
    files = {path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if starts_work(path)}
    assert {str(path) for path in files if path.parts[0] not in NOT_THE_PRODUCT} == named
