"""Branches of a durable function: its calls in tasks of their own, as ``asyncio.gather`` makes of coroutines.

Each branch counts its steps for itself. Branches overtake each other, in one replay so and in the next one
otherwise; the order of the calls within a branch is always the same.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from contextvars import ContextVar
from typing import Any


class _Branch:
    """One task that calls steps."""

    def __init__(self, of: Branches, prefix: str, task: asyncio.Task[Any] | None) -> None:
        self.of = of
        self.prefix = prefix
        self.begun: Counter[str] = Counter()
        """Branches that were begun from here, by the name of their first step."""
        self._task = None if task is None else weakref.ref(task)

    def is_in(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether what runs in ``task`` belongs to it. Outside of tasks nothing can be told apart."""
        return task is None or self._task is None or self._task() is task


_current: ContextVar[_Branch | None] = ContextVar("postmill_branch", default=None)
"""A task inherits the branch that has made it, and replaces it at its first call."""


class Branches:
    """Those of one run of a function. Made in the task that calls it."""

    def __init__(self) -> None:
        self._root = _Branch(self, "", _this_task())

    def named(self, name: str) -> str:
        """The name of a step that is called here: in the function itself ``ship``; first in a branch
        ``reserve@2``, when it is the second branch that begins so, and after that ``reserve@2/ship``.
        """
        task, branch = _this_task(), _current.get()
        if branch is None or branch.of is not self:
            branch = self._root
        if branch.is_in(task):
            return branch.prefix + name
        branch.begun[name] += 1
        first = f"{branch.prefix}{name}@{branch.begun[name]}"
        _current.set(_Branch(self, f"{first}/", task))
        return first


def _this_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # in a thread, or in a test without a loop
        return None
