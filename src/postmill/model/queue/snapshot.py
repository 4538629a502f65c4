"""What a look at a queue has shown, and how long an idle worker rests after it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

BACKGROUND_POLL_S = 0.2
"""Seconds between two looks of a busy worker behind the fast lane, and between two polls of an idle worker
that is not told of late commits. 0.2 s: a late message waits no longer than a person notices.
"""
FOLLOW_S = 0.5
"""Seconds until a worker that was woken and has caught up polls once more. 0.5 s: transactions that were open
at its claim have mostly committed by then.
"""
PATROLLING_S = 1.0
"""The longest rest of an idle worker while the patrol is on its way through many ids, in seconds. 1 s: the
patrol gets on, at one small statement a second.
"""
FRESH_S = 0.05
"""A message that was sent within this time, in seconds, is left to the worker that was woken for it. 50 ms:
that worker claims within a few.
"""
SPREAD_S = 0.005
"""Workers that know when a message falls due poll one after the other, this many seconds apart on average. 5
ms: the first has claimed before the second polls.
"""


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """How a queue stands."""

    paused: bool
    replaced: bool
    """The server, its history or the queue's table is another one: begin anew."""
    ahead_age_s: float | None
    """Seconds since the first message that is due in the fast lane was sent; None when there is none."""
    due_in_s: float | None
    """Seconds until the next message falls due; None when none waits, or it was not asked."""
    waiting: int
    """Workers of the queue that want to be called; 0 when it was not asked."""
    rivals: int
    """Workers before this one, in order of their ids, that claim now; 0 when it was not asked."""

    @property
    def is_anothers(self) -> bool:
        """Whether what comes next was sent a moment ago: whoever was called for it is about to claim it."""
        return self.ahead_age_s is not None and self.ahead_age_s < FRESH_S and self.waiting > 1


def rest_s(look: QueueSnapshot, floor_s: float, *, notified: bool, expecting: bool, chance: float) -> float:
    """Seconds until the next look, at most ``floor_s``.

    ``expecting``: transactions are open whose messages may come late. ``chance`` from 0 to 1 spreads workers
    that wait for the same message.
    """
    if look.paused:
        return floor_s
    if expecting:
        floor_s = min(floor_s, follow_s(notified=notified))
    if look.due_in_s is None:
        return floor_s
    if look.due_in_s <= 0:  # claimed now, unless somebody else holds it or is about to claim it
        return min(floor_s, BACKGROUND_POLL_S)
    others = max(0, look.waiting - 1)
    return min(floor_s, look.due_in_s + 0.001 + chance * SPREAD_S * others)


def follow_s(*, notified: bool) -> float:
    """Seconds until a look for what may have been left behind."""
    return FOLLOW_S if notified else BACKGROUND_POLL_S
