"""Tasks of ours, which nothing that a handler does to the event loop can keep from beginning or can let live
on where they must not.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextvars import Context

_T = TypeVar("_T")

CHILD_EXIT = 1
"""The exit code of a forked child that would have gone on with its parent's work."""

_kept: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def new_task(
    work: Coroutine[Any, Any, _T], *, name: str | None = None, context: Context | None = None
) -> asyncio.Task[_T]:
    """A task on the running event loop. The loop's task factory is not asked: a handler may have installed
    one that knows no ``context``, or that raises.
    """
    return asyncio.Task(work, loop=asyncio.get_running_loop(), name=name, context=context)


def keep_to_this_process(loop: asyncio.AbstractEventLoop) -> None:
    """A child that a handler forks ends at its first turn of ``loop``: it has its parent's sockets, and would
    speak to the database in its parent's name. A child that leaves the loop alone lives on.
    """
    _kept.add(loop)


def _in_child() -> None:
    for loop in list(_kept):
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon(os._exit, CHILD_EXIT)


os.register_at_fork(after_in_child=_in_child)
