"""What a handler's parameters ask for: the payload's type from its annotation, and whether it wants the
context.

Looks at a function once, when its worker is made; never at a message.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from postmill.handlers.context import Context
from postmill.model.errors import InvalidHandler

if TYPE_CHECKING:
    from collections.abc import Callable

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Signature:
    """How to call a handler."""

    payload_type: Any
    """The first parameter's annotation; ``Any`` without one."""
    wants_context: bool


def read_signature(function: Callable[..., Any], *, batch: bool) -> Signature:
    """The signature of ``function``. Raises :class:`InvalidHandler` when it can't take one payload (and a
    context).

    A builtin whose signature can't be read (``print``) is called with the payload alone.
    """
    if not callable(function):
        raise InvalidHandler(f"{function!r} can't be called.", hint="Give a function of one payload.")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return Signature(Any, wants_context=False)
    hints = _hints(function)
    takers = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    _check(function, parameters, takers)
    payload_type = hints.get(takers[0].name, Any) if takers else Any
    return Signature(_item_of(payload_type) if batch else payload_type, _wants_context(takers, hints))


def _check(
    function: Callable[..., Any], parameters: list[inspect.Parameter], takers: list[inspect.Parameter]
) -> None:
    name = getattr(function, "__name__", repr(function))
    variadic = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
    if not takers and not variadic:
        raise InvalidHandler(
            f"{name}() has no parameter for the message's payload.",
            why="A handler is called with the payload, and with the context if it has a second parameter.",
            hint=f"Write it as: async def {name}(payload: dict) -> None",
        )
    needed = [parameter for parameter in takers if parameter.default is inspect.Parameter.empty]
    needed_by_name = [
        parameter
        for parameter in parameters
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.default is inspect.Parameter.empty
    ]
    if len(needed) > 2 or needed_by_name:
        extra = ", ".join(parameter.name for parameter in [*needed[2:], *needed_by_name])
        raise InvalidHandler(
            f"{name}() needs more than a payload and a context: {extra}.",
            why="Nobody is there to give them.",
            hint="Give these parameters defaults, or bind them with functools.partial.",
        )


def _wants_context(takers: list[inspect.Parameter], hints: dict[str, Any]) -> bool:
    if len(takers) < 2:
        return False
    second = takers[1]
    hint = hints.get(second.name)
    return hint is Context or (hint is None and second.default is inspect.Parameter.empty)


def _item_of(annotation: Any) -> Any:
    """The payload's type from a batch handler's ``list[Payload]``."""
    origin = get_origin(annotation)
    if origin is not None and isinstance(origin, type) and issubclass(origin, list | tuple):
        return get_args(annotation)[0]
    if getattr(origin, "__name__", "") == "Sequence":
        return get_args(annotation)[0]
    return Any


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    target = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    target = getattr(function, "func", target)
    try:
        return get_type_hints(target)
    except NameError as error:
        raise InvalidHandler(
            f"The annotations of {getattr(function, '__name__', function)!r} can't be read.",
            why=f"{error}.",
            hint="Import the type where the handler's module can see it (not only under TYPE_CHECKING).",
        ) from error
    except TypeError:
        return {}
