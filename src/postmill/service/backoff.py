"""How long to wait before trying an unreachable server again: exponential with full jitter, bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Backoff:
    """Delays in seconds: the first retry is at once, the rest spread over a window that doubles up to
    ``max_s``. Its default lets a worker have its first message within a second of a promotion.
    """

    chance: Callable[[], float]
    base_s: float = 0.05
    max_s: float = 0.8
    failures: int = 0

    def next_delay_s(self) -> float:
        """Count a failure and return how long to wait. The first answer is 0, since most cuts are over at
        once.
        """
        self.failures += 1
        if self.failures == 1:
            return 0.0
        window = min(self.max_s, self.base_s * 2.0 ** min(self.failures - 2, 16))
        return window * (0.5 + 0.5 * self.chance())

    def reset(self) -> None:
        """It worked: start over next time."""
        self.failures = 0
