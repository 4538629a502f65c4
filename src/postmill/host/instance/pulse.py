"""Whether the event loop of an isolate turns: it is asked now and then, and has to answer.

Pure: the time that has passed and the way to ask are passed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ASK_S = 0.5
"""How often a busy isolate is asked: a loop that hangs is told of within this time and ``BLOCKED_S``."""
BLOCKED_S = 1.0
"""A loop that has not turned for so long keeps every other request of its isolate waiting noticeably."""
LONGEST_ROUND_S = 0.5
"""What one round counts at most: when the host itself was halted, the isolate could not be heard."""
SAY_AGAIN_S = 10.0
"""A function that blocks its loop at each request is told of so often at most."""


class Pulse:
    """Of one isolate. ``ask`` sends the question."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self.blocked_s = 0.0
        """How long it has not answered."""
        self._ask = ask
        self._asked = False
        self._rest_s = 0.0
        self._quiet_s = SAY_AGAIN_S
        self._said = False

    @property
    def is_blocked(self) -> bool:
        """Whether the loop hangs."""
        return self.blocked_s >= BLOCKED_S

    def answered(self) -> bool:
        """The loop has turned. Returns whether it hung before."""
        hung = self.is_blocked
        self._asked, self.blocked_s = False, 0.0
        return hung

    def round(self, elapsed_s: float, *, busy: bool) -> bool:
        """Some time has passed. Returns whether it is to be said now that the loop hangs."""
        elapsed_s = min(elapsed_s, LONGEST_ROUND_S)
        self._quiet_s += elapsed_s
        if self._asked:
            self.blocked_s += elapsed_s
            return self._is_news()
        self._rest_s += elapsed_s
        if busy and self._rest_s >= ASK_S:
            self._rest_s, self._asked, self._said = 0.0, True, False
            self._ask()
        return False

    def _is_news(self) -> bool:
        if not self.is_blocked or self._said or self._quiet_s < SAY_AGAIN_S:
            return False
        self._said, self._quiet_s = True, 0.0
        return True
