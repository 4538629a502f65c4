"""What the claim policy is held against: its turn told from top to bottom, and a queue with senders."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from postmill.model.queue.claim_policy import (
    BACKGROUND_POLL_S,
    LOOKBACK_IDS,
    QUIET_AFTER_BUSY_S,
    SATURATING_WORKERS,
    SLOW_LANE_DIVISOR,
    ClaimPolicy,
    follow_s,
    rest_s,
)
from postmill.model.queue.claim_steps import (
    Backlog,
    ClaimAhead,
    ClaimBehind,
    Look,
    PassOn,
    QueueSnapshot,
    Register,
    Rest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from postmill.model.queue.claim_steps import Step

POLL_S = 5.0
"""The poll floor of these workers."""


class PlainTurns:
    """A worker's turns as a story without states: each ``yield`` is a step, and what it gives is the answer.

    What may change while a step is under way is the ``called`` of a claim, as in the engine.
    """

    def __init__(self, *, notified: bool) -> None:
        self.notified = notified
        self.listed = self.called = self.paused = self.filled = self.in_doubt = False
        self.claims_next = False
        """The lanes behind have had their share: the fast lane is next, as soon as there is room."""
        self.behind_since: float | None = None
        self.look_at = 0.0
        self.now = 0.0
        self.wanted = 0

    def turns(self) -> Generator[Step, Any, None]:
        while True:
            while (yield from self.turn()):
                pass
            if self.wanted == 0:
                yield Rest(BACKGROUND_POLL_S, for_room=True)
            else:
                yield from self.register()
                yield Rest(self.look_at - self.now)

    def turn(self) -> Generator[Step, Any, bool]:
        called, self.called = self.called, False
        if self.wanted == 0:
            if called:
                self.look_at, self.claims_next = 0.0, False
                yield PassOn()
            return False
        if self.is_behind():
            return (yield from self.go_on_behind())
        more = (yield from self.claim(LOOKBACK_IDS)) if called else False
        if not self.is_behind() and self.now >= self.look_at:
            return (yield from self.look_around())
        return more

    def go_on_behind(self) -> Generator[Step, Any, bool]:
        if self.now >= self.look_at and not self.claims_next:
            self.look_at = self.now + BACKGROUND_POLL_S
            shown = yield Look(idle=False)
            self.paused = shown.paused
            if shown.paused:
                return self.caught_up()
            if self.notified and shown.rivals >= SATURATING_WORKERS:
                self.look_at = self.now + POLL_S
                return self.caught_up()
            yield ClaimBehind(max(1, self.wanted // SLOW_LANE_DIVISOR))
        self.claims_next = self.wanted == 0
        return False if self.claims_next else (yield from self.claim(0))

    def look_around(self) -> Generator[Step, Any, bool]:
        yield from self.register()
        in_doubt, self.in_doubt = self.in_doubt, False
        shown = yield Look(idle=True)
        self.paused = shown.paused
        self.look_at = self.now + rest_s(shown, POLL_S, notified=self.notified, chance=1.0)
        ahead = shown.ahead_age_s is not None
        self.filled = self.filled and ahead
        if shown.paused:
            return False
        parts = SLOW_LANE_DIVISOR if ahead else max(1, shown.lanes_behind)
        found = yield ClaimBehind(max(1, self.wanted // parts))
        if found:
            self.look_at = 0.0
        left_to_others = self.notified and shown.is_anothers and not in_doubt
        if ahead and not left_to_others:
            if self.wanted:
                return (yield from self.claim(0))
            self.look_at = 0.0
        return self.wanted > 0 and found > 0

    def register(self) -> Generator[Step, Any, None]:
        if self.notified and not self.listed:
            yield Register()

    def claim(self, lookback: int) -> Generator[Step, Any, bool]:
        messages, complete = yield ClaimAhead(self.wanted, lookback)
        if messages and not complete:
            self.note_backlog()
            return True
        self.in_doubt, self.called = self.called, False
        if messages and (self.listed or not self.notified) and not self.in_doubt:
            self.look_at = min(self.look_at, self.now + follow_s(notified=self.notified))
        else:
            self.look_at = 0.0
        return self.caught_up()

    def note_backlog(self) -> None:
        if not self.filled:
            self.filled, self.look_at = True, 0.0
            self.in_doubt, self.called = self.called, False
        elif self.behind_since is None:
            self.behind_since = self.now
            self.look_at = min(self.look_at, self.now + BACKGROUND_POLL_S)
        elif self.listed and self.now - self.behind_since > QUIET_AFTER_BUSY_S:
            self.listed = False

    def is_behind(self) -> bool:
        return self.behind_since is not None

    def caught_up(self) -> bool:
        self.filled, self.behind_since = False, None
        return self.now >= self.look_at


@dataclass
class Queue:
    """A queue, one worker that claims from it, and senders that call the worker if it is listed."""

    policy: ClaimPolicy
    room: int = 100
    now: float = 0.0
    listed: bool = False
    sent: int = 0
    unclaimed: set[int] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)

    def send(self, many: int = 1) -> None:
        self.unclaimed.update(range(self.sent, self.sent + many))
        self.sent += many
        if self.listed:
            self.policy.call()

    def step(self, *, before: Callable[[], None], after: Callable[[], None]) -> Step:
        """Take the next step. ``before`` and ``after`` happen while it is under way: before the server does
        it, and before the worker has the answer.
        """
        step = self.policy.next_step(self.now, self.room, begun=True, listed=self.listed)
        self.steps.append(step)
        if isinstance(step, Rest):
            return step
        before()
        answer = self._done_by_the_server(step)
        after()
        self._take_in(step, answer)
        return step

    def _done_by_the_server(self, step: Step) -> Any:
        match step:
            case ClaimAhead(limit):
                taken = sorted(self.unclaimed)[:limit]
                self.unclaimed.difference_update(taken)
                return len(taken), len(taken) < limit
            case Look():
                return QueueSnapshot(
                    paused=False, replaced=False, ahead_age_s=1.0 if self.unclaimed else None, waiting=1
                )
            case Register():
                self.listed = True
            case PassOn():
                self.listed = False
        return 0

    def _take_in(self, step: Step, answer: Any) -> None:
        match step:
            case ClaimAhead():
                messages, complete = answer
                backlog = self.policy.claimed(messages, complete=complete, now_s=self.now, listed=self.listed)
                self.listed = self.listed and backlog is not Backlog.NEED_NOT_BE_CALLED
            case ClaimBehind():
                self.policy.claimed_behind(answer)
            case Look():
                self.policy.looked(answer, self.now, chance=1.0, saturated=False)
