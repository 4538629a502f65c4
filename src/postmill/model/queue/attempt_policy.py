"""How one message is run: its retry policy and its time limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from postmill.model.duration import seconds
from postmill.model.option_rules import out_of_range
from postmill.model.queue.retry import RetryPolicy, policy_from

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from postmill.model.queue.message import Message

    PolicyFor: TypeAlias = Callable[[Message], "AttemptPolicy"]
    """Finds the policy of a message in what was claimed of it. Pure: asked before, during and after an
    attempt, it answers the same.
    """


@dataclass(frozen=True, slots=True)
class AttemptPolicy:
    """What holds for the attempts at one message. Raises :class:`InvalidOption` for a bad value."""

    retry: RetryPolicy
    """What follows a failed attempt, and how many are allowed."""
    timeout_s: float | None
    """Seconds until an attempt is cancelled; None: no limit."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "retry", policy_from(self.retry))
        if self.timeout_s is not None:
            object.__setattr__(self, "timeout_s", time_limit_s(self.timeout_s))


def time_limit_s(timeout: float | timedelta) -> float:
    """A time limit in seconds. Raises :class:`InvalidOption` for one that no attempt could keep."""
    limit_s = seconds(timeout, "timeout")
    if limit_s == 0:
        raise out_of_range("timeout", limit_s, "It must be longer than 0 s.")
    return limit_s


def shortest_timeout_s(policies: Sequence[AttemptPolicy]) -> float | None:
    """The time limit of messages that run in one call: none of them may run for longer than its own."""
    return min((each.timeout_s for each in policies if each.timeout_s is not None), default=None)
