"""Each module-level number has a text below it: what it means, and why it is that number."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parents[2] / "src" / "postmill"
SHORTEST = 45
"""Characters of the shortest sentence that can hold a meaning and a reason."""


def is_number(node: ast.expr | None) -> bool:
    """Whether the value is a number, or reckoned with one, such as ``OTHER + 0.1``."""
    match node:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float()):
            return True
        case ast.UnaryOp(operand=operand):
            return is_number(operand)
        case ast.BinOp(left=left, right=right):
            return is_number(left) or is_number(right)
        case ast.Call(func=ast.Name(id="timedelta" | "range"), args=args, keywords=keywords):
            return all(map(is_number, [*args, *(keyword.value for keyword in keywords)]))
    return False


def numbers(text: str) -> Iterator[tuple[str, str]]:
    """The name of each module-level number, and the text below it; empty without one."""
    body = ast.parse(text).body
    for statement, following in zip(body, [*body[1:], None], strict=True):
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if is_number(value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if is_number(value):
                pass
            case _:
                continue
        match following:
            case ast.Expr(value=ast.Constant(value=str() as told)):
                yield name, " ".join(told.split())
            case _:
                yield name, ""


def test_each_module_level_number_says_why_it_is_that_number() -> None:
    found = [
        (path.relative_to(SOURCE).as_posix(), name, told)
        for path in sorted(SOURCE.rglob("*.py"))
        for name, told in numbers(path.read_text(encoding="utf-8"))
    ]
    assert len(found) > 100
    assert [(path, name) for path, name, told in found if len(told) < SHORTEST] == []


def test_a_number_without_a_text_is_found() -> None:
    """The check itself: a comment, a text above and a short text do not count."""
    text = "A = 5.0  # seconds\nB = 2 * 1024\n'Bytes.'\nC = OTHER + 0.1\nNAME = 'no number'\nFLAG = True\n"
    assert list(numbers(text)) == [("A", ""), ("B", "Bytes."), ("C", "")]
