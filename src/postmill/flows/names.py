"""What flows and workflows share of a definition: their name, and the options of their worker."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from postmill.model.error_text import storable
from postmill.model.errors import InvalidFlow, InvalidPayload
from postmill.model.queue.queue_name import RULE
from postmill.model.queue.worker_options import options_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from postmill.model.queue.worker_options import WorkerOptions

T = TypeVar("T")

NOT_OF_FLOWS = {
    "batch": "A step is run one message at a time.",
    "keep_results": "What a step gives is kept with its run.",
    "on_success": "Messages of flows are deleted: their runs tell what was done.",
    "on_invalid": "What a step can't be called with fails it.",
    "on_dead": "A step without further attempts is told by its run. A step has an on_dead of its own.",
}
"""Why a worker's option can't be given."""

_BETWEEN = frozenset({"postmill", "typing"})
"""Packages whose frames lie between a definition and this module: ``Flow[Site](...)`` is called by typing."""


def some_name(name: object, what: str) -> str:
    """``name`` itself, when it is a text that PostgreSQL holds and that is not empty; or
    :class:`InvalidFlow`.
    """
    if isinstance(name, str) and name and storable(name) == name:
        return name
    raise InvalidFlow(
        f"{name!r} is not the name of {what}.",
        why="A name is a text that is not empty, without NUL characters and lone surrogates.",
    )


def flow_name(name: object) -> str:
    """``name`` itself, or :class:`InvalidFlow`. A queue has it, unless ``queue=`` says otherwise."""
    if isinstance(name, str) and RULE.fullmatch(name):
        return name
    raise InvalidFlow(
        f"{name!r} is not a name that a flow can have.",
        why="A name has 1 to 47 characters out of a-z, 0-9, _ and -; no - comes first or twice in a row.",
        hint="Give another one with name=...",
    )


def defining_module() -> str:
    """The name of the module whose code makes the flow that is being made now."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


def flow_options(name: str, given: Mapping[str, Any]) -> WorkerOptions:
    """The options of a flow's worker; a schedule is not the worker's, but the flow's. Raises
    :class:`InvalidOption`, and :class:`InvalidFlow` for those that mean nothing for a flow.
    """
    said = {option: value for option, value in given.items() if value is not None}
    for option in said.keys() & NOT_OF_FLOWS.keys():
        raise InvalidFlow(f"The flow {name!r} has no option {option!r}.", why=NOT_OF_FLOWS[option])
    return replace(options_from({"queue": name, **said}), schedule=None, timezone="UTC")


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
