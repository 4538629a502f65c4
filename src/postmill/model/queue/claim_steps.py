"""What a claimer sees and does, as values: the state of a worker, the result of a poll, and the steps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

FRESH_S = 0.05
"""A message that was sent within this time, in seconds, is left to the worker that was woken for it. 50 ms:
that worker claims within a few.
"""


class ClaimState(Enum):
    """The state of a worker."""

    MISSING = "missing"
    PAUSED = "paused"
    BEHIND = "behind"
    CAUGHT_UP = "caught up"


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The result of one poll of a queue."""

    paused: bool
    replaced: bool
    """The server, its history or the queue's table is another one: begin anew."""
    ahead_age_s: float | None
    """Seconds since the first message that is due in the fast lane was sent; None when there is none."""
    due_in_s: float | None = None
    """Seconds until the next message falls due; None when none waits, or it was not asked."""
    waiting: int = 0
    """Workers of the queue that are registered as idle; 0 when it was not asked."""
    rivals: int = 0
    """Workers before this one, in order of their ids, that claim now; 0 when it was not asked."""
    lanes_behind: int = 0
    """Lanes behind the fast one in which a message is due."""
    expecting: bool = False
    """Transactions are open, or were, whose messages may appear behind the fast lane."""
    patrolling: bool = False
    """Whether the patrol has begun a round and not ended it."""
    startable: bool = False
    """Whether a message that waits for its group may start, as far as a poll shows."""

    @property
    def is_anothers(self) -> bool:
        """Whether the next message was sent a moment ago: the worker that was woken for it is about to claim
        it.
        """
        return self.ahead_age_s is not None and self.ahead_age_s < FRESH_S and self.waiting > 1


@dataclass(frozen=True, slots=True)
class Begin:
    """Learn the queue's shape and where to start."""


@dataclass(frozen=True, slots=True)
class Register:
    """Register as idle."""


@dataclass(frozen=True, slots=True)
class PassOn:
    """Delete the registration; another worker is woken for the messages that this one can't take."""


@dataclass(frozen=True, slots=True)
class Look:
    """Poll the queue. ``idle``: ask also about the fast lane and the next due time."""

    idle: bool


@dataclass(frozen=True, slots=True)
class ClaimAhead:
    """Claim at most ``limit`` messages in order of id, and look at ``lookback`` ids before the cursor too."""

    limit: int
    lookback: int = 0


@dataclass(frozen=True, slots=True)
class ClaimBehind:
    """Claim at most ``share`` messages from each of the lanes behind the fast one."""

    share: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Wait this long, or until something happens. ``for_room``: until messages are wanted again."""

    seconds: float
    for_room: bool = False


Step = Begin | Register | PassOn | Look | ClaimAhead | ClaimBehind | Rest


class Backlog(Enum):
    """What other workers should do after a claim that took all it could."""

    CALL_ANOTHER = "another worker may help"
    NEED_NOT_BE_CALLED = "this one claims without a pause anyway"
