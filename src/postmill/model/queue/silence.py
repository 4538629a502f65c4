"""How long a worker may be silent: the one home of these bounds in Python.

Their home in SQL is the function ``postmill._silent_after`` (what judges) and the view
``postmill.active_workers`` (what shows). A test compares the two homes.
"""

from __future__ import annotations

SHOWN_S = 6.0
"""A worker is shown as active, and can be chosen to be woken, while its last heartbeat is at most this old,
in seconds. An idle worker writes one every 4 to 4.4 s, and one may be late by a pruning. Nothing is taken
from a worker by this bound.
"""
JUDGED_S = 10.0
"""A worker that was silent for longer than both its lease and this bound, in seconds, is judged to be gone.
Networks and machines stall for seconds: public reports have many stalls of 3 to 6 s, and none of them is a
worker's end.
"""
LOCK_FREE_S = 1.0
"""A session lock that was found free is looked at again this much later, in seconds, and judged if it is
still free. A worker whose connection was cut takes its lock again at once.
"""
IDLE_BEAT_S = 2.2
"""Seconds between two questions of an idle worker for news. Twenty idle workers then send 10 transactions/s,
their polls and looks 7 more, and their schedules and calls 2: below the 20 that are promised. The messages of
a killed worker are back after at most this long and ``LOCK_FREE_S``.
"""
WRITE_AFTER_S = 2.4
"""An idle worker writes its sign of life only when the last one is older than this, in seconds: a question
alone writes nothing to disk. So it writes with each second question, and one that is late by a pruning is
still in time to be shown.
"""
_SIGNS = 16
"""A worker that holds messages gives at least this many signs of life within the time it may be silent: at
the shortest bound, a stall of 9 s that begins just before the next sign is still no silence of 10 s.
"""
_RENEWALS = 4
"""Renewals in a lease: a claim or renewal is a quarter of a lease old when the next one leaves, or at most a
third, since what is younger than a twelfth waits for the one after.
"""


def judged_s(lease_s: float) -> float:
    """Seconds of silence after which a worker with this lease is judged to be gone."""
    return max(JUDGED_S, lease_s)


def beat_s(lease_s: float, *, holding: bool, chance: float) -> float:
    """Seconds until the next sign of life. ``chance`` from 0 to 1 spreads the workers."""
    longest = min(IDLE_BEAT_S, judged_s(lease_s) / _SIGNS) if holding else IDLE_BEAT_S
    return longest * (0.9 + 0.1 * chance)


def write_after_s(lease_s: float, *, holding: bool) -> float:
    """A sign of life is written when the last written one is older than this."""
    if not holding:
        return WRITE_AFTER_S
    return min(WRITE_AFTER_S, max(0.0, judged_s(lease_s) / _SIGNS - IDLE_BEAT_S))


def renewal_s(lease_s: float) -> float:
    """Seconds between two renewals."""
    return lease_s / _RENEWALS


def renewed_from_s(lease_s: float) -> float:
    """A renewal leaves out claims that were made or renewed more recently than this, in seconds: most
    messages end before the next renewal.
    """
    return lease_s / (3 * _RENEWALS)


def granted_s(lease_s: float) -> float:
    """Seconds by which a claim and a renewal push a message's ``vt`` into the future: a lease and a third.
    When a worker stalls, its last renewal may be a third of a lease old already; so it still holds its
    messages after a stall of nearly a whole lease.
    """
    return lease_s + renewal_s(lease_s) + renewed_from_s(lease_s)


def told_after_s(lease_s: float) -> float:
    """``on_silence="stop"``: a handler is stopped this long after the last renewal or heartbeat that was
    answered. Nothing can have been taken from the worker before a whole lease is over; the tenth is for
    cleaning up.
    """
    return 0.9 * lease_s
