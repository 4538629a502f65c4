"""The activity of one isolate: exchanges, background work that they have left, and whether its event loop
turns.

Knows no process. The time that has passed, the way to ask, and why exchanges fail are passed in.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from postmill.wire.frames import Kind
from postmill.wire.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.model.functions.failures import FunctionFailure
    from postmill.wire.channel import Channel

ASK_S = 0.5
"""Seconds between two questions to a busy isolate whether its event loop turns. Half of ``BLOCKED_S``: a hang
is reported after 1 to 1.5 s.
"""
BLOCKED_S = 1.0
"""An event loop that has not turned for this long, in seconds, is reported as blocked. 1 s: every other
request of the isolate waits noticeably by then.
"""
LONGEST_ROUND_S = 0.5
"""The most that one round counts, in seconds: the time between two questions. After a halt of the host more
time has passed, but the isolate could not be heard.
"""
SAY_AGAIN_S = 10.0
"""Seconds between two reports. 10 s: a function that blocks its loop at each request must not flood the log.
"""


class Traffic:
    """The exchanges over one channel."""

    def __init__(self, channel: Channel) -> None:
        self.in_flight = 0
        """Requests that have a place, also those not opened yet."""
        self.requests = 0
        """How many there were."""
        self.pending = 0
        """``wait_until`` work that still runs."""
        self.idle_since = 0.0
        """When the last request ended, on the monotonic clock."""
        self._channel = channel
        self._streams: dict[int, Stream] = {}
        self.find = self._streams.get
        """The exchange of a number; None when it has ended."""
        self._failure: FunctionFailure | None = None

    @property
    def has_open(self) -> bool:
        """Whether an exchange has begun and not ended."""
        return bool(self._streams)

    @property
    def is_quiet(self) -> bool:
        """Whether no exchange or background work runs that a stop would cut."""
        return not self.in_flight and not self.pending

    def open(self, opening: bytes) -> Stream:
        """Begin an exchange."""
        self.requests += 1
        stream = self._streams[self.requests] = Stream(self._channel, self.requests)
        if self._failure is not None:
            stream.fail(self._failure)
        stream.say(Kind.OPEN, opening)
        return stream

    def close(self, number: int) -> None:
        """An exchange has ended in the isolate."""
        del self._streams[number]

    def left(self) -> None:
        """One place is free again."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self.idle_since = time.monotonic()

    def fail(self, failure: FunctionFailure) -> None:
        """End every exchange with ``failure``, and those that are still to be opened."""
        self._failure = failure
        for stream in list(self._streams.values()):
            stream.fail(failure)


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
        """Some time has passed. Returns whether to report now that the event loop hangs."""
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
