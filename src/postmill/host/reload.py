"""Follows the files of functions: looks at them again and again, and reports those that have changed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from postmill.service.timed import TimedService

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from postmill.host.watching import Watch
    from postmill.service.events import Events

LONGEST_S = 2.0
"""How long changes are collected at most, in seconds. An editor or a checkout is done within 2 s; a program
that writes files without end must not delay the reload for ever.
"""


class Reload(TimedService):
    """``follow`` is told of the files that have changed, and ``on_error`` of what it raises."""

    def __init__(
        self,
        watch: Watch,
        follow: Callable[[set[Path]], None],
        on_error: Callable[[Exception], None],
        events: Events,
    ) -> None:
        super().__init__(events)
        self._watch = watch
        self._follow = follow
        self._on_error = on_error
        self._together: set[Path] = set()
        self._since = 0.0

    async def run_once(self) -> bool:
        """One look. An editor writes several files: changes in looks that follow one another are one."""
        try:
            found = await asyncio.to_thread(self._watch.changed)
            if found and not self._together:
                self._since = time.monotonic()
            self._together |= found
            if self._together and (not found or time.monotonic() - self._since > LONGEST_S):
                together, self._together = self._together, set()
                self._follow(together)
        except Exception as error:  # the next look is as good as this one
            self._on_error(error)
        self._due_at = time.monotonic() + self._watch.pause_s
        return False
