"""When a worker writes down its position, where new workers begin."""

from __future__ import annotations

HINT_S = 30.0
"""Seconds between two writes of the position. 30 s: a worker that starts has to step over the messages that
ended in that time at most, and the write costs next to nothing.
"""
SAME_HINT_S = 300.0
"""Seconds after which a position is written again that has not moved: another worker may have written another
one. Five minutes: the queue is idle, and twenty idle workers stay below the 20 statements a second that are
promised.
"""


class HintPace:
    """The pace of one worker. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self._written: tuple[str, int] | None = None
        self._tried_at = float("-inf")

    def is_due(self, position: tuple[str, int], now: float) -> bool:
        """Whether ``position``, a history and an id, is to be written. The next question that may be answered
        with yes is half a minute later.
        """
        if now < self._tried_at + (SAME_HINT_S if position == self._written else HINT_S):
            return False
        self._tried_at = now
        return True

    def written(self, position: tuple[str, int]) -> None:
        """It stands in the database: what was tried in vain is tried again at the usual pace."""
        self._written = position
