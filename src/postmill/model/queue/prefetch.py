"""How many messages to hold beyond the free slots: enough to hide the claim's round trip, no more.

A handler that takes a second needs none; one that takes a microsecond needs hundreds. So the bound follows
the rate at which messages were finished lately: about ``WINDOW_S`` of work, never above ``MAX_MESSAGES``.
Time without messages does not count: of many workers that share a queue each could do more than it got, and
small claims would cost all of them more.
"""

from __future__ import annotations

from dataclasses import dataclass, field

WINDOW_S = 0.1
"""Seconds of work to hold. 0.1 s: longer than a claim's round trip to a server in another room takes, so that
handlers never wait for a claim.
"""
PRIORITY_WINDOW_S = 0.015
"""The same while messages with a priority are expected. 15 ms: a message of high priority waits for what was
claimed before it came, and for the claim, so for 20 ms or so; a claim in the same room takes 1 to 5 ms.
"""
MAX_RATE_FACTOR = 20.0
"""One observation counts as at most 20 times the messages per second of elapsed time: a short burst after a
long wait says little about the rate.
"""
MAX_MESSAGES = 2000
"""The most messages to hold, however fast the handlers are: larger claims no longer raise the throughput."""
OBSERVED_S = 0.02
"""Seconds that one observation covers at least: five of them fit into the window."""
_SMOOTHING = 0.5
"""The weight of the newest observation: the last three count for seven eighths of the rate."""


@dataclass(slots=True)
class Prefetch:
    """The bound now. Fed with what was finished in how many seconds; asked before each claim."""

    batch_size: int | None = None
    """The user's own limit of messages per claim; None adapts."""
    window_s: float = WINDOW_S
    """Seconds of work to hold."""
    rate: float = 0.0
    """Messages finished per second of work, smoothed."""

    _seen: tuple[float, int, float] | None = field(default=None, repr=False)
    """The last observation: when, and the two totals of :meth:`follow`."""

    def follow(self, now_s: float, finished: int, starved_s: float) -> None:
        """Follow the rate at which messages are finished. Told at any time, by one monotonic clock, how many
        were finished in all, and for how many seconds in all there were none to work on.
        """
        if self._seen is None:
            self._seen = (now_s, finished, starved_s)
            return
        since_s, finished_before, starved_before_s = self._seen
        if now_s - since_s >= OBSERVED_S:
            self.observe(finished - finished_before, now_s - since_s, starved_s - starved_before_s)
            self._seen = (now_s, finished, starved_s)

    def observe(self, finished: int, elapsed_s: float, starved_s: float = 0.0) -> None:
        """Take note of ``finished`` messages within ``elapsed_s`` seconds, ``starved_s`` of which there were
        none to work on.
        """
        if elapsed_s <= 0:
            return
        seen = finished / max(elapsed_s - starved_s, elapsed_s / MAX_RATE_FACTOR)
        self.rate = seen if self.rate == 0 else self.rate + _SMOOTHING * (seen - self.rate)

    def limit(self) -> int:
        """Messages to hold beyond the free slots."""
        return min(MAX_MESSAGES, int(self.rate * self.window_s))

    @property
    def full(self) -> bool:
        """Whether the handlers are so fast that no larger claims would help them."""
        return self.rate * WINDOW_S >= MAX_MESSAGES

    def low_water(self) -> int:
        """Messages that wait for a slot, at or below which more are claimed: half of the bound.

        So a claim is always under way while the other half is handled.
        """
        return self.limit() // 2

    def wanted(self, free_slots: int, waiting: int) -> int:
        """Messages to claim now, given the free slots and the messages that wait for one already."""
        if waiting > self.low_water():
            return 0
        wanted = max(free_slots - waiting, self.limit() - max(waiting, self.low_water()))
        return wanted if self.batch_size is None else min(wanted, self.batch_size)
