"""What a worker does next about its queue: claim, poll, register as idle, or rest. Pure: it is told what has
happened and when, and asked for the next step.

A worker is in one of four states:

* **missing**: the queue's table, or Postmill's schema, is not there. It tries once a second. * **paused**:
the queue is paused. It only polls. * **behind**: twice in a row a claim took all it could. It claims without
a pause, and every ``BACKGROUND_POLL_S`` the lanes behind the fast one have their share. * **caught up**: it
rests until a send wakes it, a message falls due or the poll floor has passed. Then it claims if a send woke
it; otherwise it polls, and claims what the poll has shown.

The order of the steps keeps every message from being missed: a worker first registers as idle, and then
polls. The poll shows a message that was sent before it. A later sender finds the worker registered. A
transaction that was open during the poll is among the writers that the poll returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.model.queue.claim_steps import (
    Backlog,
    Begin,
    ClaimAhead,
    ClaimBehind,
    ClaimState,
    Look,
    PassOn,
    Register,
    Rest,
)

if TYPE_CHECKING:
    from postmill.model.queue.claim_steps import QueueSnapshot, Step

BACKGROUND_POLL_S = 0.2
"""Seconds between two polls of a busy worker, and between two polls of an idle worker that is not told of
late commits. 0.2 s: a late message waits no longer than a person notices.
"""
FOLLOW_S = 0.5
"""Seconds until a worker that was woken and has caught up polls once more. 0.5 s: transactions that were open
at its claim have mostly committed by then.
"""
PATROLLING_S = 1.0
"""The longest rest of an idle worker while the patrol is on its way through many ids, in seconds. 1 s: the
patrol gets on, at one small statement a second.
"""
SPREAD_S = 0.005
"""Workers that know when a message falls due poll one after the other, this many seconds apart on average. 5
ms: the first has claimed before the second polls.
"""
MISSING_POLL_S = 1.0
"""Seconds between two looks for a missing queue. 1 s: soon enough for the person who creates it, at one
statement a second.
"""
LOOKBACK_IDS = 100
"""A worker that was woken looks again at the last 100 ids before its cursor: concurrent senders commit in
another order than that of their ids. What lies further back is found by the slow lanes.
"""
SLOW_LANE_DIVISOR = 4
"""While the fast lane has messages, each lane behind it may take a quarter of the messages wanted: retries
get their turn, and new messages keep most of the room.
"""
SATURATING_WORKERS = 2
"""Two workers with fast handlers empty a queue as quickly as more of them would: a third one only waits for
the rows that they have locked.
"""
QUIET_AFTER_BUSY_S = 1.0
"""A worker that has been behind for this long, in seconds, deletes its row in ``idle_workers``: it claims
anyway, so a send need not wake it. Twice the time for which sends choose the same worker: after a shorter
spell the two statements would be wasted.
"""


class ClaimPolicy:
    """The policy of one worker on one queue. All times are seconds of one monotonic clock."""

    def __init__(self, *, max_poll_s: float, poll_interval_s: float) -> None:
        """``max_poll_s``: its longest rest while notifications reach it; ``poll_interval_s``: otherwise."""
        self.notified = False
        """Whether notifications reach this worker."""
        self.paused = False
        self.missing = False
        self._max_poll_s = max_poll_s
        self._poll_interval_s = poll_interval_s
        self._behind_since: float | None = None
        self._filled = False
        """Whether the last claim took all it could."""
        self._claim_asked = False
        """Whether to claim without a poll, because a send woke the worker."""
        self._start_asked = False
        """Whether to claim without a poll, because a message that waits for its group may start now."""
        self._in_doubt = False
        """Set when the worker is woken during a claim: the wake-up may be for messages of that claim, or for
        others, which the next poll shows.
        """
        self._is_called_for = False
        """Whether the poll under way answers such a wake-up: its messages are not left to another worker."""
        self._look_asked = True
        """Whether something has changed that only a poll shows."""
        self._look_at = 0.0
        """When to poll again in any case."""
        self._divisor: int | None = None
        """After a poll the lanes behind have their turn: each may take this part of the room."""
        self._ahead = False
        """Whether the poll has shown a message in the fast lane that this worker should take."""

    @property
    def state(self) -> ClaimState:
        """The state of this worker."""
        if self.missing:
            return ClaimState.MISSING
        if self.paused:
            return ClaimState.PAUSED
        return ClaimState.CAUGHT_UP if self._behind_since is None else ClaimState.BEHIND

    def call(self) -> None:
        """Something was sent, and this worker was chosen to claim it. In a paused queue a claim would give
        nothing: a poll shows whether it is still paused.
        """
        if self.paused:
            self._in_doubt = self._look_asked = True
        else:
            self._claim_asked = True

    def start_soon(self) -> None:
        """This worker has ended a message of a group: another one of that group may start."""
        self._start_asked = not self.paused

    def look_soon(self) -> None:
        """Something has changed: the next rest is over."""
        self._look_asked = True

    def failed(self) -> None:
        """A step failed, or its result is not known."""
        self._divisor, self._ahead = None, False
        self._look_asked = True

    def reset(self) -> None:
        """The known shape and position of the queue are no longer valid."""
        self._caught_up()
        self.failed()

    def next_step(self, now_s: float, wanted: int, *, begun: bool, listed: bool) -> Step:
        """What to do now. ``wanted``: how many messages there is room for; ``begun``: the queue is known;
        ``listed``: this worker is registered as idle.
        """
        if not begun:
            return self._try_to_begin(now_s)
        if wanted == 0:
            return self._without_room()
        if self._divisor is not None:
            share, self._divisor = max(1, wanted // self._divisor), None
            return ClaimBehind(share)
        if self._ahead:
            return self._claim(wanted)
        if self._behind_since is not None:
            return self._look(now_s, idle=False) if self._has_to_look(now_s) else self._claim(wanted)
        return self._when_caught_up(now_s, wanted, listed=listed)

    def began(self) -> bool:
        """The queue's shape and where to start are known. Returns whether the queue had been missing."""
        was_missing, self.missing = self.missing, False
        self.failed()
        return was_missing

    def looked(self, snapshot: QueueSnapshot, now_s: float, *, chance: float, saturated: bool) -> None:
        """Take in the result of a poll. ``chance`` from 0 to 1 spreads workers that wait for the same
        message. ``saturated``: the handlers are so fast that larger claims would not help them.
        """
        if snapshot.replaced:
            self._caught_up()
            return
        self.paused = snapshot.paused
        if self._behind_since is not None:
            self._looked_behind(snapshot, now_s, saturated=saturated)
        else:
            self._looked_idle(snapshot, now_s, chance)

    def claimed(self, messages: int, *, complete: bool, now_s: float, listed: bool) -> Backlog | None:
        """Take in a claim that gave ``messages`` of them. ``complete``: no more were due in the lane."""
        if messages and not complete:
            return self._note_backlog(now_s, listed=listed)
        self._in_doubt, self._claim_asked = self._claim_asked, False
        if messages and (listed or not self.notified) and not self._in_doubt:
            # The next message wakes the worker; a message that was left behind is polled for soon.
            self._look_at = min(self._look_at, now_s + follow_s(notified=self.notified))
        else:
            self._look_asked = True
        self._caught_up()
        return None

    def claimed_behind(self, messages: int) -> None:
        """The lanes behind gave ``messages`` of them: when the fast lane is empty, there may be more at
        once.
        """
        if messages and self._behind_since is None:
            self._look_asked = True

    def is_missing(self, now_s: float) -> bool:
        """There is no such queue, or no schema. Returns whether that was not known before."""
        is_news, self.missing = not self.missing, True
        self.reset()
        self._claim_asked = self._look_asked = self._start_asked = False
        self._look_at = now_s + MISSING_POLL_S
        return is_news

    def _try_to_begin(self, now_s: float) -> Step:
        if not self.missing or self._claim_asked or self._has_to_look(now_s):
            return Begin()
        return Rest(self._look_at - now_s)

    def _without_room(self) -> Step:
        """Another worker may take the messages that this one was woken for. The result of an idle worker's
        poll will be old when there is room, so it polls again then.
        """
        has_looked = self._ahead or self._divisor is not None
        if self._claim_asked or (has_looked and self._behind_since is None):
            self.failed()
        if self._claim_asked:
            self._claim_asked = False
            return PassOn()
        return Rest(BACKGROUND_POLL_S, for_room=True)

    def _when_caught_up(self, now_s: float, wanted: int, *, listed: bool) -> Step:
        if self._claim_asked or self._start_asked:
            return self._claim(wanted)
        if self.notified and not listed:
            return Register()
        return self._look(now_s, idle=True) if self._has_to_look(now_s) else Rest(self._look_at - now_s)

    def _claim(self, wanted: int) -> Step:
        lookback = LOOKBACK_IDS if self._claim_asked and self._behind_since is None else 0
        self._claim_asked = self._ahead = self._start_asked = False
        return ClaimAhead(wanted, lookback)

    def _look(self, now_s: float, *, idle: bool) -> Step:
        self._look_asked = False
        self._is_called_for, self._in_doubt = self._in_doubt, False
        if not idle:
            self._claim_asked = False
        self._look_at = now_s + BACKGROUND_POLL_S
        return Look(idle)

    def _has_to_look(self, now_s: float) -> bool:
        return self._look_asked or now_s >= self._look_at

    def _looked_behind(self, snapshot: QueueSnapshot, now_s: float, *, saturated: bool) -> None:
        if snapshot.paused:
            self._caught_up()
        elif self.notified and saturated and snapshot.rivals >= SATURATING_WORKERS:
            # Other workers claim that are as fast: one more would only add to the rows that they step over.
            self._caught_up()
            self._look_at = now_s + self._max_poll_s
        else:
            self._divisor, self._ahead = SLOW_LANE_DIVISOR, True

    def _looked_idle(self, snapshot: QueueSnapshot, now_s: float, chance: float) -> None:
        floor_s = self._max_poll_s if self.notified else self._poll_interval_s
        self._look_at = now_s + rest_s(snapshot, floor_s, notified=self.notified, chance=chance)
        ahead = snapshot.ahead_age_s is not None
        self._filled = self._filled and (ahead or snapshot.startable)
        if snapshot.paused:
            return
        # When the fast lane is empty, the other lanes get all the room.
        self._divisor = SLOW_LANE_DIVISOR if ahead else max(1, snapshot.lanes_behind)
        is_ours = ahead and (self._is_called_for or not self.notified or not snapshot.is_anothers)
        self._ahead = is_ours or snapshot.startable

    def _note_backlog(self, now_s: float, *, listed: bool) -> Backlog | None:
        """The claim took all it could. After the first time there may be more messages; after the second in a
        row, another worker may help.
        """
        if not self._filled:
            self._filled = self._look_asked = True
            self._in_doubt, self._claim_asked = self._claim_asked, False
            return Backlog.CALL_ANOTHER
        if self._behind_since is None:
            self._behind_since = now_s
            self._look_at = min(self._look_at, now_s + BACKGROUND_POLL_S)
            return Backlog.CALL_ANOTHER
        if listed and now_s - self._behind_since > QUIET_AFTER_BUSY_S:
            return Backlog.NEED_NOT_BE_CALLED
        return None

    def _caught_up(self) -> None:
        self._filled, self._behind_since = False, None


def rest_s(snapshot: QueueSnapshot, floor_s: float, *, notified: bool, chance: float) -> float:
    """Seconds that an idle worker rests after a poll, at most ``floor_s``. ``chance`` from 0 to 1 spreads
    workers that wait for the same message.
    """
    if snapshot.patrolling:
        floor_s = min(floor_s, PATROLLING_S)
    if snapshot.paused:
        return floor_s
    if snapshot.expecting:
        floor_s = min(floor_s, follow_s(notified=notified))
    if snapshot.due_in_s is None:
        return floor_s
    if snapshot.due_in_s <= 0:  # claimed now, unless another client holds it or is about to claim it
        return min(floor_s, BACKGROUND_POLL_S)
    others = max(0, snapshot.waiting - 1)
    return min(floor_s, snapshot.due_in_s + 0.001 + chance * SPREAD_S * others)


def follow_s(*, notified: bool) -> float:
    """Seconds until a poll for messages that may have been left behind."""
    return FOLLOW_S if notified else BACKGROUND_POLL_S
