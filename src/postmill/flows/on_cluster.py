"""What a step's function must be to run on a cluster: a task imports it by its module and name, and is given
its values by the names of its parameters.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from postmill.model.errors import InvalidFlow

if TYPE_CHECKING:
    from collections.abc import Callable

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def check_function(name: str, function: Callable[..., Any]) -> None:
    """Raises :class:`InvalidFlow` for one that a task could not find, or not call."""
    if "<" in getattr(function, "__qualname__", "<"):
        raise InvalidFlow(
            f"Step {name!r} has executor='ray', and its function stands at the top level of no module.",
            why="A task on the cluster imports the function by its module and name.",
            hint="Define it with def at the top level, or give the step executor='inline'.",
        )
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in _BY_NAME:
            raise InvalidFlow(
                f"Step {name!r} has executor='ray', and its parameter {parameter} has no name in a task.",
                why="A task is given its values by the names of the parameters.",
                hint="Name each parameter: no *args, no **kwargs, none before a /.",
            )


def unseen(name: str) -> InvalidFlow:
    """The error of a durable function's step for which its worker has not connected to the cluster."""
    return InvalidFlow(
        f"Step {name!r} has executor='ray', and its worker has not connected to the cluster for it.",
        why="A worker looks for such functions at its start, among the names of the workflow's module.",
        hint="Import the function itself into that module, as in: from steps import train",
    )
