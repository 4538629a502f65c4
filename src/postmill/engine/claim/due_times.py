"""One timer for all that a worker has put off: snoozes, retries, whatever is due again at a known time.

Only the nearest times are kept. What lies behind them is found by the look that one of them causes, for a
look tells when the next message falls due.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GRAIN_S = 0.005
"""Times so close together are one: as far apart as several workers look for the same message."""
KEPT = 128
"""Times that are kept: more than half a second of grains, and looks, every 0.2 s, find the rest."""


class DueTimes:
    """Calls ``action`` at, or at most a grain after, each of the nearest times that were added."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._grains: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0

    def __len__(self) -> int:
        return len(self._grains)

    def add(self, delay_s: float) -> None:
        """In so many seconds there is something to do."""
        grain = ceil((asyncio.get_running_loop().time() + delay_s) / GRAIN_S)
        place = bisect_left(self._grains, grain)
        if place == KEPT or (place < len(self._grains) and self._grains[place] == grain):
            return
        self._grains.insert(place, grain)
        del self._grains[KEPT:]
        self._arm()

    def _arm(self) -> None:
        first = self._grains[0]
        if self._timer is not None:
            if self._armed_for == first:
                return
            self._timer.cancel()
        self._armed_for = first
        self._timer = asyncio.get_running_loop().call_at(first * GRAIN_S, self._due)

    def _due(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time() / GRAIN_S
        del self._grains[: max(1, bisect_left(self._grains, ceil(now)))]
        if self._grains:
            self._arm()
        self._action()
