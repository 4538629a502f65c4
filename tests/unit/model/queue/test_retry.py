"""Retry policies: from (attempt, error) to a delay or the end."""

from __future__ import annotations

import gc
import math
import pickle
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill import Retry, Snooze
from postmill.model.errors import InvalidOption
from postmill.model.queue.retry import Dead, Exhausted, RetryPolicy, policy_from

ERROR = ValueError()


def middle() -> float:
    return 0.5


def delays(policy: RetryPolicy, error: BaseException = ERROR, count: int = 10) -> list[float | str]:
    """What follows each attempt, until the end."""
    answers: list[float | str] = []
    for attempt in range(1, count + 1):
        answer = policy.decide(attempt, error, middle)
        if isinstance(answer, Dead):
            return [*answers, answer.reason]
        answers.append(answer)
    return answers


def test_exponential_doubles_up_to_its_maximum() -> None:
    policy = Retry.exponential(max_attempts=7, base=3, max=timedelta(seconds=20), jitter=0.2)
    assert delays(policy) == [3, 6, 12, 20, 20, 20, "failed 7 of 7 attempts"]


def test_the_default_makes_six_attempts() -> None:
    assert delays(Retry.exponential()) == [3, 6, 12, 24, 48, "failed 6 of 6 attempts"]


def test_fixed_and_none() -> None:
    assert delays(Retry.fixed(timedelta(seconds=2), 3)) == [2, 2, "failed 3 of 3 attempts"]
    assert delays(Retry.none) == ["failed 1 of 1 attempts"]


@given(
    attempt=st.integers(1, 10**6),
    base=st.floats(0, 1e6),
    longest=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_jitter_stays_within_its_fraction(
    attempt: int, base: float, longest: float, jitter: float, chance: float
) -> None:
    policy = Retry.exponential(max_attempts=10**7, base=base, max=longest, jitter=jitter)
    plain = Retry.exponential(max_attempts=10**7, base=base, max=longest, jitter=0)
    expected = plain.decide(attempt, ERROR, middle)
    delay = policy.decide(attempt, ERROR, lambda: chance)
    assert not isinstance(delay, Dead)
    assert not isinstance(expected, Dead)
    assert expected <= longest
    assert math.isfinite(delay)
    assert expected * (1 - jitter) - 1e-6 <= delay <= expected * (1 + jitter) + 1e-6


def test_an_asked_delay_stands_but_so_does_the_limit() -> None:
    policy = Retry.fixed(5, 2)
    assert policy.decide(1, ERROR, middle, asked_s=0.5) == 0.5
    assert isinstance(policy.decide(2, ERROR, middle, asked_s=0.5), Exhausted)


def test_the_most_specific_exceptions_rule_is_taken() -> None:
    policy = Retry.fixed(1, 2).on(OSError, use=Retry.fixed(2, 3)).on(ConnectionError, use=Retry.none)
    assert delays(policy, ValueError()) == [1, "failed 2 of 2 attempts"]
    assert delays(policy, FileNotFoundError()) == [2, 2, "failed 3 of 3 attempts"]
    assert delays(policy, ConnectionResetError()) == ["failed 1 of 1 attempts"]


def test_several_exceptions_may_share_a_rule() -> None:
    policy = Retry.none.on(KeyError, IndexError, use=Retry.fixed(1, 2))
    assert delays(policy, KeyError()) == delays(policy, IndexError()) == [1, "failed 2 of 2 attempts"]


def test_a_message_is_exhausted_only_when_no_rule_would_run_it_again() -> None:
    policy = Retry.fixed(1, 3).on(OSError, use=Retry.fixed(1, 5))
    assert [policy.exhausted(failures) for failures in (0, 2, 3, 4, 5, 6)] == [False] * 4 + [True] * 2
    endless = Retry.none.on(OSError, use=policy_from(lambda attempt, error: 1.0))
    assert not endless.exhausted(10**6)


def test_a_rule_of_ones_own() -> None:
    policy = policy_from(lambda attempt, error: Dead("over") if attempt == 3 else timedelta(seconds=attempt))
    assert delays(policy) == [1, 2, "over"]


@pytest.mark.parametrize("answer", [-1, math.nan, math.inf, "soon", None, True, 1e12])
def test_a_rule_that_answers_no_delay_is_an_error(answer: Any) -> None:
    with pytest.raises(InvalidOption):
        policy_from(lambda attempt, error: answer).decide(1, ERROR, middle)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Retry.fixed(-1),
        lambda: Retry.fixed(1, 0),
        lambda: Retry.fixed(math.nan),
        lambda: Retry.exponential(jitter=1.1),
        lambda: Retry.exponential(jitter=-0.1),
        lambda: Retry.exponential(max_attempts=0),
        lambda: policy_from(3),
        lambda: policy_from("none"),
        lambda: policy_from(ValueError),
    ],
)
def test_bad_policies_are_refused_when_they_are_made(make: Any) -> None:
    with pytest.raises(InvalidOption):
        make()


async def later(attempt: int, error: BaseException) -> float:
    return 1.0


def stepwise(attempt: int, error: BaseException) -> Any:
    yield 1.0


class Caller:
    async def __call__(self, attempt: int, error: BaseException) -> float:
        return 1.0


class Patient(RetryPolicy):
    async def delay_s(self, attempt: int, error: BaseException, chance: Any) -> float:  # type: ignore[override]
        return 1.0


@pytest.mark.parametrize("rule", [later, partial(later, 1), stepwise, Caller(), Patient()])
def test_a_rule_that_answers_later_is_refused_when_it_is_given(rule: Any) -> None:
    """The coroutine was taken for an answer that is no delay: each failure waited a minute, for ever."""
    with pytest.raises(InvalidOption, match="asynchronous"):
        policy_from(rule)
    with pytest.raises(InvalidOption, match="asynchronous"):
        Retry.none.on(ValueError, use=rule)


def test_a_rule_that_hides_its_coroutine_is_an_error_and_leaves_none_behind(
    recwarn: pytest.WarningsRecorder,
) -> None:
    with pytest.raises(InvalidOption, match="not a duration"):
        policy_from(lambda *failed: later(*failed)).decide(1, ERROR, middle)  # noqa: PLW0108 - it hides
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


def test_a_limit_that_was_lowered_is_not_said_to_be_kept() -> None:
    assert str(Retry.fixed(1, 2).decide(3, ERROR, middle)) == "failed 3 attempts, and 2 are allowed"


class Coded(Snooze):
    def __init__(self, code: int, *, api: str) -> None:
        super().__init__(30, f"{api} {code}")
        self.code = code


class Bare(Dead):
    def __init__(self, *, code: int) -> None:
        self.code = code


@pytest.mark.parametrize("error", [Coded(7, api="maps"), Bare(code=7), Retry("no", after=3)])
def test_outcomes_and_their_extensions_come_back_from_another_process(error: Any) -> None:
    """They were made anew through an ``__init__`` that asks for other arguments, which failed."""
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert back.__dict__ == error.__dict__
    assert back.args == error.args
