"""One timer for all that a worker has put off to a known time: snoozes and retries.

Only the nearest times are kept. Each causes a poll, and a poll returns when the next message falls due, so
later times are found in that way.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GRAIN_S = 0.005
"""Due times that lie within this span, in seconds, count as one. 5 ms: several workers poll for the same
message that far apart on average (``model.queue.claim_policy.SPREAD_S``).
"""
KEPT = 128
"""The most due times that are kept. 128 spans of 5 ms are more than half a second, and the background poll
every 0.2 s finds later ones.
"""


class DueTimes:
    """Calls ``action`` at each of the nearest times that were added, at most ``GRAIN_S`` late."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._grains: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0

    def __len__(self) -> int:
        return len(self._grains)

    def add(self, delay_s: float) -> None:
        """There is something to do in ``delay_s`` seconds."""
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
