"""Steps whose function is not the user's: a call of an edge function, and a statement of SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.flows.function_calls import call_function
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.handlers.context import Context

    Function: TypeAlias = Callable[..., Awaitable[Any]]


def calling(function: str) -> Function:
    """The function of a step that calls an edge function with ``body``."""

    async def call(body: Any = None) -> Any:
        return await call_function(function, body)

    return call


def running(sql: str, parameters: int) -> Function:
    """The function of a step that runs a statement: its parameters are ``p1``, ``p2``, ... and its result is
    a list of rows, each an object by column.
    """
    names = [f"p{place}" for place in range(1, parameters + 1)]

    async def run(ctx: Context, **values: Any) -> list[dict[str, Any]]:
        async with ctx.db as connection:
            rows = await connection.fetch(sql, *(_argument(values[name]) for name in names))
        return [dict(row) for row in rows]

    return run


def _argument(value: Any) -> Any:
    """What the driver takes: of a list or an object its JSON text."""
    return to_json(value).decode() if isinstance(value, list | dict) else value
