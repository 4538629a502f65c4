"""When to try again what keeps failing to start. Pure: the time is passed in."""

from __future__ import annotations

FIRST_PAUSE_S = 0.25
"""Seconds to wait after the first failure; each further failure doubles the pause. 0.25 s: a start that
failed by chance is repeated before a client gives up.
"""
LONGEST_PAUSE_S = 60.0
"""The longest pause, in seconds. A minute: a start that fails for hours costs little, and a cause outside the
function that was mended is noticed soon. A changed file ends the pause at once.
"""
BROKEN_AFTER = 5
"""After this many failures in a row, requests are refused until the pause is over. Five failures with their
pauses take about 8 s: less than the 10 s that a request waits for a place by default. With the next pause it
would be more.
"""


class Breaker:
    """Counts failures in a row; each doubles the pause before the next try."""

    def __init__(self) -> None:
        self.failures = 0
        self._retry_at = 0.0

    def failed(self, now: float) -> None:
        """It failed again."""
        self.failures += 1
        self._retry_at = now + self.pause_s

    def worked(self) -> None:
        """It works: the failures are forgotten."""
        self.failures = 0
        self._retry_at = 0.0

    @property
    def pause_s(self) -> float:
        """How long to wait after the latest failure, in seconds."""
        if not self.failures:
            return 0.0
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.failures - 1, 16))

    @property
    def is_broken(self) -> bool:
        """Whether it failed so many times that no request should wait for another try."""
        return self.failures >= BROKEN_AFTER

    def may_try(self, now: float) -> bool:
        """Whether the pause is over."""
        return now >= self._retry_at

    def refuses(self, now: float) -> bool:
        """Whether a request is turned away without a try."""
        return self.is_broken and not self.may_try(now)
