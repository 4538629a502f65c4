"""Requests to stop, as they come by signals: an echo of one is none of its own.

GNU ``timeout`` signals its child and then the whole group, and so do some supervisors and shells. The second
signal follows within milliseconds. Read as a second request it would force the end, and cut what runs.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ECHO_S = 0.5
"""A signal so soon after a request is its echo, in seconds. 0.5 s: an echo takes milliseconds even on a busy
machine, and a person who wants to force waits to see what the first Ctrl-C did.
"""


class StopRequests:
    """Calls ``stop`` at each request; its echoes are dropped."""

    def __init__(self, stop: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._stop = stop
        self._clock = clock
        self._heard_at = float("-inf")

    def hear(self) -> None:
        """A signal has come."""
        now = self._clock()
        if now - self._heard_at >= ECHO_S:
            self._heard_at = now
            self._stop()
