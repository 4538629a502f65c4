"""What a drained worker did, as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Ended:
    """How one attempt at one message ended."""

    queue: str
    msg_id: int
    attempt: int
    outcome: str
    """``completed``, ``retrying``, ``snoozed``, ``dead``, ``cancelled``, ``released`` or ``lost``."""
    error: str | None = None
    """What the handler raised, as text, where it failed."""
    reason: str | None = None
    """Why the message is dead."""


@dataclass(frozen=True, slots=True)
class Account:
    """Every attempt in the order in which they ended, every error a handler raised, and what is left."""

    attempts: Sequence[Ended]
    errors: Sequence[Exception]
    left: int
    """Messages still in the queues: those that are not due, with ``delays="leave"``."""

    def ended(self, outcome: str) -> list[Ended]:
        """The attempts that ended so."""
        return [each for each in self.attempts if each.outcome == outcome]

    @property
    def completed(self) -> list[int]:
        """Ids of completed messages, in the order of their completion."""
        return [each.msg_id for each in self.ended("completed")]

    @property
    def dead(self) -> list[Ended]:
        """The attempts that ended as dead letters."""
        return self.ended("dead")

    def raise_errors(self) -> None:
        """Raise what the handlers raised, tracebacks and all, so that a test shows it; nothing if nothing."""
        if self.errors:
            raise ExceptionGroup("handlers raised", list(self.errors))
