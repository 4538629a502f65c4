"""What flows and workflows share of a definition: their name, their module, and whether an input fits."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeVar

from postmill.model.error_text import storable
from postmill.model.errors import InvalidFlow, InvalidPayload
from postmill.model.flow.shape import INPUT
from postmill.model.queue.queue_name import RULE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

LONGEST = 300
"""Characters of a name. It is in indexes, whose entries have at most 2,704 bytes: 300 characters are at most
1,200, and the name of a step in a branch has that of the branch before it.
"""
SHOWN = 50
"""Characters that an error quotes of a name that is too long."""
_BETWEEN = frozenset({"postmill", "typing"})
"""Packages whose frames lie between a definition and this module: ``Flow[Site](...)`` is called by typing."""


def some_name(name: object, what: str, most: int = LONGEST) -> str:
    """``name`` itself, when it is a text that PostgreSQL holds, that is not empty and no longer than ``most``
    characters; or :class:`InvalidFlow`.
    """
    if not isinstance(name, str) or not name or storable(name) != name:
        raise InvalidFlow(
            f"{name!r} is not the name of {what}.",
            why="A name is a text that is not empty, without NUL characters and lone surrogates.",
        )
    if len(name) > most:
        raise InvalidFlow(
            f"{name[:SHOWN]!r}… is not the name of {what}.",
            why=f"A name has at most {most} characters, and this one {len(name)}.",
            hint="Give a digest of what is longer.",
        )
    return name


def flow_name(name: object) -> str:
    """``name`` itself, or :class:`InvalidFlow`. A queue has it, unless ``queue=`` says otherwise."""
    if isinstance(name, str) and RULE.fullmatch(name):
        return name
    raise InvalidFlow(
        f"{name!r} is not a name that a flow can have.",
        why="A name has 1 to 47 characters out of a-z, 0-9, _ and -; no - comes first or twice in a row.",
        hint="Give another one with name=...",
    )


def check_step_name(flow: str, name: str, steps: Mapping[str, object]) -> None:
    """Refuse what can't be the name of the next step of a flow that has these."""
    if some_name(name, "a step") == INPUT:
        raise InvalidFlow(
            f"{name!r} is not the name of a step.",
            why="The run's input is read by it.",
            hint="Give another: name=...",
        )
    if name in steps:
        raise InvalidFlow(
            f"The flow {flow!r} has two steps named {name!r}.",
            why=f"The first is {steps[name]!r}; runs know their steps by name.",
            hint="Give one of them another: name=...",
        )


def defining_module() -> str:
    """The name of the module whose code makes the flow that is being made now."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


def fit(what: str, decode: Callable[[str], T], text: str) -> T:
    """The value of a JSON text. Raises :class:`InvalidPayload` for one that does not fit: ``what`` says so,
    as the decoder knows only the value.
    """
    try:
        return decode(text)
    except InvalidPayload as error:
        raise InvalidPayload(what, why=f"{str(error).rstrip('.')}.") from error


def check_runs_alone(name: str, decode: Callable[[str], object]) -> None:
    """Refuse a schedule of a flow whose input can't be left out: its runs start with the empty object."""
    try:
        decode("{}")
    except InvalidPayload as error:
        raise InvalidFlow(
            f"The flow {name!r} has a schedule, and can't be run without an input.",
            why=f"{error}",
            hint="Give each part of its input a default, or schedule it with an input:"
            f" postmill schedule add-flow NAME SCHEDULE {name} JSON",
        ) from error
