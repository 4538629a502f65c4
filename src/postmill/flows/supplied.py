"""Steps whose function is not the user's: a call of an edge function, and a statement of SQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.model.errors import Refused
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from postmill.handlers.context import Context

    Function: TypeAlias = Callable[..., Awaitable[Any]]

Transport: TypeAlias = Callable[[str, Any], Awaitable[Any]]
"""Calls an edge function by its name, with a body that JSON can say; returns what it answers, as JSON has it.
Raises whatever is a failed attempt: no answer, or one that tells of an error.
"""


class _Process:
    """What holds for this process."""

    transport: Transport | None = None


_process = _Process()


def use_transport(transport: Transport | None) -> None:
    """How ``flow.call`` and ``ctx.call`` reach functions from now on, in this process. This room knows no
    HTTP: the program that runs the workers gives it.
    """
    _process.transport = transport


async def call_function(function: str, body: object) -> Any:
    """What the edge function answers. Raises :class:`Refused` where nothing was said of how to reach it."""
    if _process.transport is None:
        raise Refused(
            f"The function {function!r} can't be called from here.",
            why="This process was not told how functions are reached.",
            hint="Give it a way: postmill.flows.use_transport(...), a function of a name and a body.",
        )
    return await _process.transport(function, body)


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
