"""The types that a user's function names, where its module can see them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from postmill.handlers.signature import resolved
from postmill.model.errors import InvalidFlow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def annotations_of(
    name: str, function: Callable[..., Any], parameters: Iterable[inspect.Parameter]
) -> dict[str, Any]:
    """By parameter; ``Any`` where there is none. Raises :class:`InvalidFlow` for one that can't be read:
    values could not be decoded to it.
    """
    return {parameter.name: _of_parameter(name, function, parameter) for parameter in parameters}


def returned_by(function: Callable[..., Any]) -> Any:
    """What it returns; ``Any`` where that is not said, or only to a type checker."""
    try:
        return resolved(function, inspect.signature(function).return_annotation)
    except NameError:
        return Any


def _of_parameter(name: str, function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    try:
        return resolved(function, parameter.annotation)
    except NameError as error:
        raise InvalidFlow(
            f"The annotation of {parameter.name!r} in {name!r} can't be read.",
            why=f"{error}.",
            hint="Import the type where the function's module can see it (not only under TYPE_CHECKING).",
        ) from error
