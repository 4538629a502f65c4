"""How much is held beyond the free slots: nothing for slow handlers, for fast ones a claim's worth."""

from __future__ import annotations

import pytest

from postmill.model.queue.prefetch import MAX_MESSAGES, MAX_RATE_FACTOR, WINDOW_S, Prefetch


def fed(rate: float) -> Prefetch:
    prefetch = Prefetch()
    prefetch.observe(int(rate * 10), 10.0)
    return prefetch


def test_before_anything_is_known_only_free_slots_are_filled() -> None:
    assert Prefetch().wanted(free_slots=10, waiting=0) == 10


def test_a_slow_handler_holds_nothing_beyond_its_slots() -> None:
    prefetch = fed(rate=1)
    assert prefetch.limit() == 0
    assert prefetch.wanted(free_slots=0, waiting=0) == 0
    assert prefetch.wanted(free_slots=3, waiting=0) == 3


def test_a_fast_handler_holds_a_window_of_work_and_no_more_than_the_bound() -> None:
    assert fed(rate=2_000).limit() == int(2_000 * WINDOW_S)
    assert fed(rate=1_000_000).limit() == MAX_MESSAGES


def test_the_other_half_is_claimed_while_one_half_waits() -> None:
    prefetch = fed(rate=1_000_000)
    half = MAX_MESSAGES // 2
    assert prefetch.wanted(free_slots=10, waiting=0) == half
    assert prefetch.wanted(free_slots=10, waiting=half) == half
    assert prefetch.wanted(free_slots=10, waiting=half + 1) == 0


def test_free_slots_are_filled_even_when_they_are_more_than_half_the_bound() -> None:
    assert fed(rate=100).wanted(free_slots=400, waiting=0) == 400
    assert fed(rate=1_000).wanted(free_slots=400, waiting=30) == 370


def test_a_batch_size_of_the_users_own_bounds_every_claim() -> None:
    prefetch = Prefetch(batch_size=7)
    prefetch.observe(1_000_000, 1.0)
    assert prefetch.wanted(free_slots=100, waiting=0) == 7


def test_the_rate_follows_what_is_seen_and_forgets_what_was() -> None:
    prefetch = fed(rate=10_000)
    for _ in range(20):
        prefetch.observe(0, 1.0)
    assert prefetch.limit() == 0


def test_no_time_passed_is_no_news() -> None:
    prefetch = fed(rate=500)
    prefetch.observe(1_000, 0.0)
    assert prefetch.limit() == 50


def test_time_without_messages_does_not_count() -> None:
    prefetch = Prefetch()
    prefetch.observe(100, 1.0, starved_s=0.9)
    assert prefetch.rate == pytest.approx(1000)


def test_a_worker_that_waited_all_the_time_is_not_believed_to_be_infinitely_fast() -> None:
    prefetch = Prefetch()
    prefetch.observe(10, 1.0, starved_s=1.0)
    assert prefetch.rate == 10 * MAX_RATE_FACTOR
