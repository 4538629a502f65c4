"""Retry policies: pure rules from (attempt, error) to a delay or the end. Random numbers are passed in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from postmill.model.duration import seconds
from postmill.model.errors import InvalidOption
from postmill.model.option_rules import out_of_range


def restored(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    """An exception that comes back from a handler's process. Not through its ``__init__``: a subclass may ask
    for other arguments than it hands to its parent.
    """
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


Chance = Callable[[], float]
"""A number in [0, 1)."""


class Dead(Exception):
    """Never run this message again: it goes to the dead letters with ``reason``."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return restored, (type(self), self.args, self.__dict__)


class Exhausted(Dead):
    """Dead because the attempts are used up. The reason ends with the error of the last attempt."""


@dataclass(frozen=True)
class RetryPolicy:
    """What follows a failed attempt. ``max_attempts`` counts the first attempt too; None: the rule itself
    decides when to stop.
    """

    max_attempts: int | None = 6
    by_exception: Mapping[type[BaseException], RetryPolicy] = field(
        default_factory=lambda: MappingProxyType({}), kw_only=True
    )

    def __post_init__(self) -> None:
        if self.max_attempts is not None and self.max_attempts < 1:
            raise out_of_range("max_attempts", self.max_attempts, "The first attempt counts: at least 1.")

    def delay_s(self, attempt: int, error: BaseException, chance: Chance) -> float | Dead:
        """Seconds to wait after failed attempt number ``attempt`` (1-based), or :class:`Dead`. Overridden by
        each rule.
        """
        raise NotImplementedError

    def decide(
        self, attempt: int, error: BaseException, chance: Chance, *, asked_s: float | None = None
    ) -> float | Dead:
        """Seconds until the next attempt, or :class:`Dead` with the reason.

        ``asked_s`` is the delay that the handler itself asked for. It is used in place of the rule's delay,
        within the limit of attempts.
        """
        policy = self._for(error)
        if policy.max_attempts is not None and attempt >= policy.max_attempts:
            return Exhausted(in_words(attempt, policy.max_attempts))
        return policy.delay_s(attempt, error, chance) if asked_s is None else asked_s

    def exhausted(self, failures: int) -> bool:
        """Whether a message with this number of recorded failures may not run again, whatever the errors
        were.
        """
        limit = self.most_attempts
        return limit is not None and failures >= limit

    @property
    def most_attempts(self) -> int | None:
        """The largest limit of attempts among the rules; None: one of them has no limit."""
        limits = [policy.max_attempts for policy in (self, *self.by_exception.values())]
        return None if None in limits else max(limit for limit in limits if limit is not None)

    def on(
        self, *exceptions: type[BaseException], use: RetryPolicy | Callable[[int, BaseException], Any]
    ) -> RetryPolicy:
        """This policy, with ``use`` in its place for the given exception types. Of several that fit, the most
        specific counts.
        """
        table = dict(self.by_exception) | dict.fromkeys(exceptions, policy_from(use))
        return replace(self, by_exception=MappingProxyType(table))

    def _for(self, error: BaseException) -> RetryPolicy:
        for kind in type(error).__mro__:
            if kind in self.by_exception:
                return self.by_exception[kind]
        return self


@dataclass(frozen=True)
class ExponentialRetry(RetryPolicy):
    """``base * 2 ** (attempt - 1)`` seconds, at most ``max_delay_s``, spread by ``jitter`` either way."""

    base_s: float = 3.0
    max_delay_s: float = 300.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.jitter <= 1:
            raise out_of_range("jitter", self.jitter, "It is a fraction from 0 to 1.")

    def delay_s(self, attempt: int, error: BaseException, chance: Chance) -> float:
        """See :meth:`RetryPolicy.delay_s`."""
        exponent = min(attempt - 1, 64)  # beyond it every base has long met its maximum
        plain = min(self.max_delay_s, self.base_s * 2.0**exponent)
        return plain * (1 + self.jitter * (2 * chance() - 1))


@dataclass(frozen=True)
class FixedRetry(RetryPolicy):
    """The same delay each time."""

    delay: float = 3.0

    def delay_s(self, attempt: int, error: BaseException, chance: Chance) -> float:
        """See :meth:`RetryPolicy.delay_s`."""
        return self.delay


@dataclass(frozen=True)
class CallableRetry(RetryPolicy):
    """A user's own rule ``(attempt, error) -> seconds | Dead``."""

    rule: Callable[[int, BaseException], float | Dead] = lambda _attempt, _error: 3.0

    def delay_s(self, attempt: int, error: BaseException, chance: Chance) -> float | Dead:
        """See :meth:`RetryPolicy.delay_s`."""
        answer: Any = self.rule(attempt, error)
        if inspect.iscoroutine(answer):
            answer.close()  # it is never awaited: closing it keeps Python from warning
        return answer if isinstance(answer, Dead) else seconds(answer, "the retry rule's delay")


def in_words(failed: int, limit: int | None) -> str:
    """Why no further attempt follows. The limit may have been lowered since the message began to fail."""
    if limit is None or failed > limit:
        return f"failed {failed} attempts, and {limit or 'no more'} are allowed"
    return f"failed {failed} of {limit} attempts"


def policy_from(value: object) -> RetryPolicy:
    """A policy from what users pass as ``retry=``: a policy, or a callable. Raises :class:`InvalidOption`."""
    rules = (value.delay_s, value.decide) if isinstance(value, RetryPolicy) else (value,)
    if any(map(_answers_later, rules)):
        raise InvalidOption(
            f"retry={value!r} is asynchronous.",
            why="A retry rule answers at once: it is asked between two statements of the worker.",
            hint="Write it with def, not async def. What must be looked up belongs into the handler,"
            " which can raise Retry(after=...).",
        )
    if isinstance(value, RetryPolicy):
        return value
    if callable(value) and not isinstance(value, type):
        return CallableRetry(None, rule=value)
    raise InvalidOption(
        f"retry={value!r} is not a retry policy.",
        hint="Use Retry.exponential(...), Retry.fixed(delay, max_attempts), Retry.none or a function"
        " (attempt, error) -> seconds.",
    )


def _answers_later(rule: object) -> bool:
    """Whether a call gives a coroutine or a generator in place of an answer."""
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    called = getattr(type(rule), "__call__", None)  # noqa: B004 - the function behind a callable object
    return any(kind(each) for each in (inspect.unwrap(rule), called) for kind in kinds)  # type: ignore[arg-type]
