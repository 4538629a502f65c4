"""How an attempt can end. Values: the engine settles them; ``Retry``, ``Snooze`` and ``Dead`` can also be
raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from postmill.model.duration import seconds
from postmill.model.queue.retry import ExponentialRetry, FixedRetry, RetryPolicy, restored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Completed:
    """The work is done. ``result`` (anything JSON can say) is kept when the worker keeps results."""

    result: Any = None


COMPLETED = Completed()


def one_a_message(returned: object, messages: int) -> Sequence[Any] | None:
    """What a batch handler returned, checked: an outcome for each message, in order, or None for all of them.

    Raises ``TypeError`` for anything else.
    """
    if returned is None:
        return None
    if isinstance(returned, list | tuple) and len(returned) == messages:
        return returned
    many = f" of {len(returned)}" if isinstance(returned, list | tuple) else ""
    raise TypeError(
        f"a batch handler returns None or a list of {messages} outcomes, one a message;"
        f" got {type(returned).__name__}{many}"
    )


class Retry(Exception):
    """This attempt failed; run the message again.

    ``after`` is seconds or a ``timedelta``; None lets the worker's retry policy choose. The policy's limit of
    attempts holds. The class also makes policies for ``@worker(retry=...)``: :meth:`exponential`,
    :meth:`fixed` and :attr:`none`.
    """

    none: ClassVar[RetryPolicy] = FixedRetry(1, 0.0)

    def __init__(self, reason: str = "", *, after: float | timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = None if after is None else seconds(after, "after")

    def __reduce__(self) -> tuple[Any, ...]:
        return restored, (type(self), self.args, self.__dict__)

    @staticmethod
    def exponential(
        *,
        max_attempts: int = 6,
        base: float | timedelta = 3.0,
        max: float | timedelta = 300.0,  # noqa: A002 - the word of the field
        jitter: float = 0.2,
    ) -> RetryPolicy:
        """Delays of ``base * 2 ** (attempt - 1)``, at most ``max``, each spread by ``jitter`` (a fraction)
        either way.
        """
        return ExponentialRetry(max_attempts, seconds(base, "base"), seconds(max, "max"), jitter)

    @staticmethod
    def fixed(delay: float | timedelta, max_attempts: int = 6) -> RetryPolicy:
        """The same delay (seconds or a ``timedelta``) before each further attempt."""
        return FixedRetry(max_attempts, seconds(delay, "delay"))


class Snooze(Exception):
    """Not now: run the message again later. It counts neither as a failure nor as an attempt."""

    def __init__(self, after: float | timedelta, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = seconds(after, "after")

    def __reduce__(self) -> tuple[Any, ...]:
        return restored, (type(self), self.args, self.__dict__)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """``postmill.cancel`` was called for the running message, and the handler gave up."""


CANCELLED = Cancelled()


@dataclass(frozen=True, slots=True)
class Released:
    """The attempt did not happen (the worker stops, or never began it): the message is ready at once."""


RELEASED = Released()


@dataclass(frozen=True, slots=True)
class Parked:
    """The message was not run: it waits for a place in its group, or for other messages, and was delivered
    all the same.
    """


PARKED = Parked()


@dataclass(frozen=True, slots=True)
class Lost:
    """The lease was lost: nothing is written about the message itself, another worker has it."""


LOST = Lost()


@dataclass(frozen=True, slots=True)
class Settled:
    """The handler's own transaction has completed the message already; only its claim is left to close, and
    its result to keep.
    """

    result: Any = None


SETTLED = Settled()


@dataclass(frozen=True, slots=True)
class Failed:
    """A failed attempt with its record, and what follows: another try in ``retry_after_s``, or (None) the
    dead letters.
    """

    kind: str
    error_type: str
    error_message: str
    traceback: str | None
    retry_after_s: float | None
    ran_s: float = 0.0
    reason: str = ""
    """Why it is dead; unused while it is retried."""


Outcome = Completed | Snooze | Failed | Cancelled | Released | Parked | Lost | Settled
