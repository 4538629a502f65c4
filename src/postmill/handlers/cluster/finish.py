"""``@handler.finish``: what a worker does with a task's result, in its own process and beside its database,
before the message is completed.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, get_type_hints

from postmill.handlers.cluster.on_ray import OnRay
from postmill.handlers.context import Context
from postmill.handlers.invokers import decoder
from postmill.model.errors import InvalidHandler, InvalidPayload

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.engine.run.attempt import Attempt
    from postmill.handlers.invokers import Callee


def add_finish(task: Callee, function: Callable[..., Any]) -> None:
    """Have ``function`` called with the payload and the result of each task. Raises
    :class:`InvalidHandler` where nothing would call it, and when it can't be called so.
    """
    if not isinstance(task.call, OnRay):
        raise InvalidHandler(
            "finish belongs to a handler with executor='ray'.",
            why="Any other handler runs beside the database: it can do itself what comes last.",
        )
    if task.call.finish is not None:
        raise InvalidHandler("This handler has a finish already.", hint="Do both in one function.")
    task.call.finish = _caller(function)


def _caller(function: Callable[..., Any]) -> Callable[[Any, str, Attempt], Any]:
    name = getattr(function, "__name__", "finish")
    if not inspect.iscoroutinefunction(function):
        raise InvalidHandler(
            f"{name}() is no async def.",
            why="It runs on the worker's event loop, between a task's end and the completion of its message.",
            hint=f"Write it as: async def {name}(payload, result, ctx: Context) -> None",
        )
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) not in {2, 3}:
        raise InvalidHandler(
            f"{name}() takes {len(parameters)} parameters.",
            why="It is called with the payload, the result, and the context if it takes a third.",
            hint=f"Write it as: async def {name}(payload, result, ctx: Context) -> None",
        )
    decode = decoder(get_type_hints(function).get(parameters[1], Any))

    async def call(payload: Any, result: str, attempt: Attempt) -> Any:
        try:
            found = decode(result)
        except InvalidPayload as error:
            raise InvalidHandler(f"The task's result does not fit {name}().", why=f"{error}.") from error
        try:
            return await function(payload, found, *([Context(attempt)] if parameters[2:] else []))
        finally:
            attempt.ended = True  # its context refuses all work from then on

    return call
