"""What a handler has returned. It is awaited as long as it is awaitable, and refused when it shows that the
work was not done.

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
from itertools import islice
from typing import Any

from postmill.model.errors import InvalidHandler

_NOT_RUN = (
    Iterator,
    AsyncIterator,
    ContextDecorator,
    AsyncContextDecorator,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    functools.partial,
)
"""Generators and other iterators, what ``contextlib.contextmanager`` makes, and functions: code that still
waits to be run.
"""
_DATA = {str, int, float, bool, bytes, type(None)}
"""Most of what results are made of: not worth a closer look."""
_DEPTH = 3
"""How many levels of lists and dictionaries in a result are searched for coroutines that were not awaited.
Three: a mistake such as a list of lists of coroutines is found, and a search stays short.
"""
_FIRST = 1000
"""How many items of a list are searched. An ``await`` that was forgotten in a loop is missing in the first
item too, so 1,000 are ample, and a long list costs no time.
"""


async def finished(result: Any) -> Any:
    """The result itself, after whatever is awaitable was awaited.

    Raises :class:`InvalidHandler` when the result is code that has not run.
    """
    result = await _awaited(result)
    if _has_not_run(result):
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


def _has_not_run(result: Any, depth: int = _DEPTH) -> bool:
    """Whether it is code that has not run, or holds some."""
    if type(result) in _DATA:
        return False
    if isinstance(result, dict):
        items: Any = result.values()
    elif isinstance(result, list | tuple | set | frozenset):
        items = result
    else:
        return _is_code(result)
    return depth > 0 and any(
        _is_left(item) or _has_not_run(item, depth - 1) for item in islice(items, _FIRST)
    )


def _is_code(result: Any) -> bool:
    if isinstance(result, type):
        return issubclass(result, BaseException)  # ``return Retry``
    waits = isinstance(result, _NOT_RUN) and not isinstance(result, io.IOBase)
    return waits or inspect.iscoroutinefunction(getattr(type(result), "__call__", None))  # noqa: B004 - not whether


def _is_left(item: Any) -> bool:
    """Whether work was begun, or is still to be begun, that nothing waits for."""
    return type(item) not in _DATA and (
        inspect.isawaitable(item) or isinstance(item, concurrent.futures.Future)
    )


def _not_run(result: Any) -> InvalidHandler:
    return InvalidHandler(
        f"The handler returned a {type(result).__name__}, and its work has not been done.",
        why="Nothing runs a generator or a function that is returned, waits for coroutines and tasks in a"
        " list, or raises an error's class.",
        hint="Return the result itself; await what has to be awaited; give a decorator its parentheses.",
    )
