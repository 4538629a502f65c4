"""What a handler's parameters ask for: the payload's type from its annotation, and whether it wants the
context.

Looks at a function once, when its worker is made; never at a message.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from postmill.handlers.cluster.remote_context import RemoteContext
from postmill.handlers.context import Context
from postmill.model.errors import InvalidHandler

if TYPE_CHECKING:
    from collections.abc import Callable

_UNIONS = (Union, UnionType)
_CONTEXTS = (Context, RemoteContext)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Decorated(ABC):
    """What stands in a user's module in place of a function: a worker, or a task of one."""

    @property
    @abstractmethod
    def function(self) -> Callable[..., Any] | None:
        """The function that was decorated; None while there is none."""


class Arguments(dict[str, Any]):
    """Several values, by the names of the parameters that take them."""


@dataclass(frozen=True, slots=True)
class Signature:
    """How to call a handler."""

    payload_type: Any
    """The first parameter's annotation; ``Any`` without one."""
    wants_context: bool


def read_signature(function: Callable[..., Any], *, batch: bool) -> Signature:
    """The signature of ``function``. Raises :class:`InvalidHandler` when it can't take one payload (and a
    context), and when calling it would run nothing.

    A builtin whose signature can't be read (``print``) is called with the payload alone.
    """
    if not callable(function):
        raise InvalidHandler(f"{function!r} can't be called.", hint="Give a function of one payload.")
    _refuse_class(function)
    _refuse_generator(function)
    try:
        parameters = _parameters(function)
    except (TypeError, ValueError):
        return Signature(Any, wants_context=False)
    hints = _hints(function)
    takers = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    wants_context = len(takers) > 1 and _is_context(takers[1], hints)
    _check(function, parameters, takers, hints, wants_context=wants_context)
    payload_type = hints.get(takers[0].name, Any) if takers else Any
    return Signature(_item_of(payload_type) if batch else payload_type, wants_context)


def has_address(function: Callable[..., Any]) -> bool:
    """Whether another process can find it by its module and name. It can't find a method of an object: the
    object exists only in this process.
    """
    name = getattr(function, "__qualname__", "")
    of_an_object = inspect.ismethod(function) and not inspect.isclass(function.__self__)
    return bool(name) and "<" not in name and function.__module__ != "__main__" and not of_an_object


def called(function: Callable[..., Any]) -> Any:
    """The function whose lines a call runs: behind ``functools.partial``, and that of a callable object."""
    while isinstance(function, partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


def resolved(function: Callable[..., Any], annotation: Any) -> Any:
    """One of its annotations, as its module reads it; ``Any`` where there is none. Raises ``NameError``."""
    if annotation is inspect.Parameter.empty:
        return Any
    holder = SimpleNamespace(__annotations__={"it": annotation})
    return get_type_hints(holder, getattr(inspect.unwrap(called(function)), "__globals__", {}))["it"]


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of the function that a decorator has wrapped. When the decorator itself takes another
    number of values, its own parameters count: the decorator is called, and may add values.
    """
    shown = list(inspect.signature(function).parameters.values())
    own = list(inspect.signature(function, follow_wrapped=False).parameters.values())
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in own):
        return shown
    return shown if _count(own) == _count(shown) else own


def _count(parameters: list[inspect.Parameter]) -> tuple[int, int]:
    """How many values are given by position, and which must be given by name."""
    by_name = (
        parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.default is inspect.Parameter.empty
        for parameter in parameters
    )
    return sum(parameter.kind in _POSITIONAL for parameter in parameters), sum(by_name)


def _refuse_class(function: Callable[..., Any]) -> None:
    """Calling such a class makes the object that was meant to be called, and runs nothing of it."""
    target = called(function)
    if inspect.isclass(target) and any("__call__" in base.__dict__ for base in target.__mro__):
        raise InvalidHandler(
            f"{target.__name__} is a class of handlers, and no handler.",
            why="Calling it for each message would make an object, and its __call__ would never run.",
            hint=f"Make the object once, and give that: {target.__name__}(...)",
        )


def _refuse_generator(function: Callable[..., Any]) -> None:
    """Calling a generator function makes a generator, and runs nothing."""
    target = called(function)
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        name = _name(function)
        raise InvalidHandler(
            f"{name}() is a generator function: it has a yield.",
            why="Calling it makes a generator, and none of its lines would run.",
            hint="Return the result; a batch handler returns a list of outcomes.",
        )


def _check(
    function: Callable[..., Any],
    parameters: list[inspect.Parameter],
    takers: list[inspect.Parameter],
    hints: dict[str, Any],
    *,
    wants_context: bool,
) -> None:
    name = _name(function)
    variadic = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
    if not takers and not variadic:
        raise InvalidHandler(
            f"{name}() has no parameter for the message's payload.",
            why="A handler is called with the payload, and with the context if it asks for it.",
            hint=f"Write it as: async def {name}(payload: dict) -> None",
        )
    filled = takers[: 2 if wants_context else 1]
    unfilled = [
        parameter.name
        for parameter in parameters
        if parameter.default is inspect.Parameter.empty
        and parameter.kind in (*_POSITIONAL, inspect.Parameter.KEYWORD_ONLY)
        and parameter not in filled
    ]
    _refuse_late_context(name, [parameter for parameter in parameters if parameter not in filled], hints)
    if unfilled:
        raise InvalidHandler(
            f"{name}() needs more than a payload and a context: {', '.join(unfilled)}.",
            why="A handler is called with one payload. A second parameter is the context if it is annotated"
            " Context, or has no annotation and is named ctx, context or _something.",
            hint="Take the payload's parts from the payload; annotate the context; give other parameters"
            " defaults, or bind them with functools.partial.",
        )


def _refuse_late_context(name: str, others: list[inspect.Parameter], hints: dict[str, Any]) -> None:
    """A context with a default that is not the second parameter would never be filled in."""
    for parameter in others:
        if _means_context(hints.get(parameter.name)):
            raise InvalidHandler(
                f"{name}() takes its context as {parameter.name}, which is not its second parameter.",
                why="The payload and the context are given by their places: the first and the second.",
                hint=f"Write it as: async def {name}(payload: dict, {parameter.name}: Context) -> None",
            )


def _is_context(second: inspect.Parameter, hints: dict[str, Any]) -> bool:
    """Whether the parameter takes the context. A parameter with a default takes it only when it is annotated
    so.
    """
    hint = hints.get(second.name, second.annotation)
    if hint is inspect.Parameter.empty:
        named = second.name in {"ctx", "context"} or second.name.startswith("_")
        return named and second.default is inspect.Parameter.empty
    return _means_context(hint)


def asks_for(hint: Any, context: type) -> bool:
    """Whether an annotation is this kind of context, or that or None."""
    return hint is context or (get_origin(hint) in _UNIONS and context in get_args(hint))


def _means_context(hint: Any) -> bool:
    return any(asks_for(hint, context) for context in _CONTEXTS)


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", None) or type(function).__name__)


def _item_of(annotation: Any) -> Any:
    """The payload's type from a batch handler's ``list[Payload]``."""
    origin = get_origin(annotation)
    if origin is not None and isinstance(origin, type) and issubclass(origin, list | tuple):
        return get_args(annotation)[0]
    if getattr(origin, "__name__", "") == "Sequence":
        return get_args(annotation)[0]
    return Any


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(called(function))
    except NameError as error:
        raise InvalidHandler(
            f"The annotations of {getattr(function, '__name__', function)!r} can't be read.",
            why=f"{error}.",
            hint="Import the type where the handler's module can see it (not only under TYPE_CHECKING).",
        ) from error
    except TypeError:
        return {}
