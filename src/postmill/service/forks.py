"""What becomes of a child that a handler forks: it must not go on with its parent's work."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    import asyncio

CHILD_EXIT = 1
"""The exit code of a forked child that would have gone on with its parent's work: 1, as for any error."""

_kept: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def keep_to_this_process(loop: asyncio.AbstractEventLoop) -> None:
    """A child that a handler forks ends at its first turn of ``loop``: it has its parent's sockets, and would
    use its parent's database sessions. A child that does not run the event loop lives on.
    """
    _kept.add(loop)


def _in_child() -> None:
    for loop in list(_kept):
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon(os._exit, CHILD_EXIT)


os.register_at_fork(after_in_child=_in_child)
