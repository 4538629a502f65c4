"""What a handler has returned: awaited for as long as it can be, and refused when it shows that the work has
not been done.

A decorator, a lambda or a forgotten ``await`` can return a coroutine, a generator or a function in place of
the work's result. Nothing here looks at messages or outcomes.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
import io
import types
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncContextDecorator, ContextDecorator
from typing import Any

from postmill.model.errors import InvalidHandler

_NOT_RUN = (
    Iterator,
    AsyncIterator,
    ContextDecorator,
    AsyncContextDecorator,
    types.FunctionType,
    types.MethodType,
    functools.partial,
)
"""Generators and other iterators, what ``contextlib.contextmanager`` makes, and functions: code that still
waits for somebody to run it.
"""


async def finished(result: Any) -> Any:
    """The result itself, after whatever is awaitable was awaited.

    Raises :class:`InvalidHandler` when the result is code that has not run.
    """
    result = await _awaited(result)
    items = result if isinstance(result, list | tuple) else ()
    if _has_not_run(result) or any(inspect.iscoroutine(item) or inspect.isgenerator(item) for item in items):
        raise _not_run(result)
    return result


async def finished_batch(result: Any) -> Any:
    """The same for a batch handler's answer: each item for itself, where an error is the item's outcome."""
    result = await _awaited(result)
    return [await _item(item) for item in result] if isinstance(result, list | tuple) else result


def in_process(result: Any) -> Any:
    """The same for a function that was called where no event loop runs."""
    if inspect.isawaitable(result) or isinstance(result, concurrent.futures.Future):
        return asyncio.run(finished(result))
    if _has_not_run(result):
        raise _not_run(result)
    return result


def drop(result: Any) -> bool:
    """Whether ``result`` is a coroutine that was not begun. It is closed: Python would complain of it."""
    if inspect.iscoroutine(result):
        result.close()
        return True
    return False


async def _awaited(result: Any) -> Any:
    while True:
        if inspect.isawaitable(result):
            result = await result
        elif isinstance(result, concurrent.futures.Future):
            result = await asyncio.wrap_future(result)
        else:
            return result


async def _item(item: Any) -> Any:
    try:
        return await finished(item)
    except Exception as error:
        return error


def _has_not_run(result: Any) -> bool:
    return isinstance(result, _NOT_RUN) and not isinstance(result, io.IOBase)


def _not_run(result: Any) -> InvalidHandler:
    return InvalidHandler(
        f"The handler returned a {type(result).__name__}, and its work has not been done.",
        why="A generator, an iterator, a coroutine in a list, a function: none of them runs by itself.",
        hint="Return the result itself; await what has to be awaited; give a decorator its parentheses.",
    )
