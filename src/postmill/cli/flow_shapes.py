"""Shapes of flows as people read them: their steps, a drawing, and what two shapes differ in.

A shape is the JSON that the database has; see :mod:`postmill.model.flow.shape`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.cli.terminal.text import json_text, one_line
from postmill.model.errors import InvalidHandler, Refused
from postmill.model.flow.condition import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.client.sending import Statement
    from postmill.db.tools.connect import Connection

Shape: TypeAlias = dict[str, Any]
COMPARED = ("kind", "needs", "reads", "over", "when", "on_unmet", "on_dead", "compensates", "signal")
"""What a step's shape says of it, beside its name."""


@dataclass(frozen=True, slots=True)
class Program:
    """A flow as a program has it."""

    name: str
    shape: Shape
    registration: Statement
    """What its worker says at its start."""


def of_program(target: str) -> Program:
    """The flow of ``module:name``; the working folder is importable. Raises :class:`InvalidHandler`."""
    import msgspec

    from postmill.handlers import load
    from postmill.sql.catalog import statement

    sys.path[:0] = [folder for folder in (str(Path.cwd()),) if folder not in sys.path]
    registers = statement("register_flow")
    said = next((each for each in load(target).declarations if each.text == registers), None)
    if said is None:
        raise InvalidHandler(
            f"{target} is no flow.", why="It is a worker.", hint=f"postmill worker run {target} runs it."
        )
    name, _kind, _queue, shape, *_ = said.arguments
    return Program(str(name), msgspec.json.decode(str(shape)), said)


def register(connection: Connection, program: Program) -> None:
    """Say that there is this flow, as its worker does."""
    connection.execute(program.registration.text, program.registration.arguments)


def steps(shape: Shape) -> list[dict[str, Any]]:
    """The steps in order of definition, as rows."""
    return [
        {
            "step": step["name"],
            **{name: step.get(name) for name in COMPARED},
            "when": condition(step.get("when")),
        }
        for step in shape["steps"]
    ]


def condition(when: Any) -> str:
    """A condition in words, with nothing in it that a terminal obeys; empty where there is none."""
    return "" if when is None else json_text(in_words(when))


def version_before(newest: dict[str, Any]) -> int:
    """The number of the version before this one. Raises :class:`Refused` when it is the first."""
    earlier = [number for number in newest["versions"] if number < newest["version"]]
    if not earlier:
        raise Refused(
            f"{newest['flow']} has no version before {newest['version']}.",
            hint=f"Compare it with a program: postmill flow diff MODULE:{newest['flow']}",
        )
    return int(earlier[-1])


def differences(before: Shape, after: Shape) -> list[dict[str, Any]]:
    """What has changed from one shape to another: steps that came, went or moved, and their parts."""
    old = {step["name"]: step for step in before["steps"]}
    new = {step["name"]: step for step in after["steps"]}
    gone = [_row("removed", name) for name in old if name not in new]
    made = [_row("added", name) for name in new if name not in old]
    changed = [
        _row("changed", name, part, old[name].get(part), new[name].get(part))
        for name in new
        if name in old
        for part in COMPARED
        if old[name].get(part) != new[name].get(part)
    ]
    kept = [name for name in old if name in new]
    moved = [] if kept == [name for name in new if name in old] else [_row("order", "")]
    return gone + made + changed + moved


def _row(change: str, step: str, what: str = "", before: Any = None, after: Any = None) -> dict[str, Any]:
    return {"change": change, "step": step, "what": what, "before": before, "after": after}


def drawn(shape: Shape, form: str) -> Iterator[str]:
    """The steps and what they need: ``text``, a line a step, or ``mermaid``, a diagram in its language."""
    if form == "mermaid":
        yield from _mermaid(shape)
        return
    for step in steps(shape):
        needs = f"  <- {', '.join(step['needs'])}" if step["needs"] else ""
        kind = "" if step["kind"] in (None, "step") else f" [{step['kind']}]"
        when = f"  if {step['when']}" if step["when"] else ""
        yield one_line(f"{step['step']}{kind}{needs}{when}")


def _mermaid(shape: Shape) -> Iterator[str]:
    numbers = {step["name"]: number for number, step in enumerate(shape["steps"])}
    yield "flowchart TD"
    for step in shape["steps"]:
        opened, closed = ("[[", "]]") if step.get("kind") == "map" else ("[", "]")
        yield f'    s{numbers[step["name"]]}{opened}"{_label(step["name"])}"{closed}'
        label = f'|"{_label(condition(step["when"]))}"|' if step.get("when") else ""
        for need in step.get("needs", []):
            yield f"    s{numbers[need]} -->{label} s{numbers[step['name']]}"


def _label(text: str) -> str:
    return one_line(text).replace('"', "#quot;")
