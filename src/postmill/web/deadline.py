"""One deadline that moves often and is met seldom: moving it touches no timer of the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Deadline:
    """At most one action is awaited at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._action: Callable[[], None] | None = None

    @property
    def is_set(self) -> bool:
        """Whether an action is awaited."""
        return self._action is not None

    def set(self, after_s: float, action: Callable[[], None]) -> None:
        """Call ``action`` in ``after_s`` seconds, in place of what was awaited before."""
        self._due = self._loop.time() + after_s
        self._action = action
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._look)

    def clear(self) -> None:
        """Await nothing. The timer stays, for the next action."""
        self._action = None

    def close(self) -> None:
        """Await nothing, and end the timer."""
        self.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        action = self._action
        if action is None:
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._look)
            return
        self._action = None
        action()
