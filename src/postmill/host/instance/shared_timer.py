"""One timer for many calls, most of which are taken back before they are due."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class SharedTimer:
    """What was added and has not left after one to two periods is called, once."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._new: dict[Callable[[], None], None] = {}
        self._waiting: dict[Callable[[], None], None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, action: Callable[[], None]) -> None:
        """Call ``action``, unless it leaves before."""
        self._new[action] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._period_s, self._go)

    def leave(self, action: Callable[[], None]) -> None:
        """It need not be called any more."""
        self._new.pop(action, None)
        self._waiting.pop(action, None)

    def _go(self) -> None:
        due, self._waiting, self._new = self._waiting, self._new, {}
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._period_s, self._go) if self._waiting else None
        for action in due:
            try:
                action()
            except Exception as error:  # the others are due all the same
                loop.call_exception_handler({"message": "an action of a timer failed", "exception": error})
