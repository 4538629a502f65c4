"""How long to wait for a server that does not answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.service.backoff import Backoff


def test_the_first_retry_is_at_once_and_the_windows_double() -> None:
    backoff = Backoff(lambda: 1.0)
    assert [backoff.next_delay_s() for _ in range(9)] == [0, 0.05, 0.1, 0.2, 0.4, 0.8, 0.8, 0.8, 0.8]


def test_after_a_success_it_starts_over() -> None:
    backoff = Backoff(lambda: 0.0)
    for _ in range(5):
        backoff.next_delay_s()
    backoff.reset()
    assert (backoff.failures, backoff.next_delay_s(), backoff.next_delay_s()) == (0, 0, 0.025)


@given(chance=st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_no_wait_is_longer_than_the_longest(chance: list[float]) -> None:
    numbers = iter(chance)
    backoff = Backoff(lambda: next(numbers))
    for _ in chance:
        assert 0 <= backoff.next_delay_s() <= backoff.max_s


def test_it_never_overflows() -> None:
    backoff = Backoff(lambda: 0.5, failures=10**6)
    assert backoff.next_delay_s() == pytest.approx(0.6)
