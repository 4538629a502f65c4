"""The pause between tries grows, and ends with the first success."""

from __future__ import annotations

from postmill.model.queue.breaker import BROKEN_AFTER, LONGEST_PAUSE_S, Breaker


def test_the_pause_doubles_up_to_a_minute() -> None:
    breaker = Breaker()
    pauses = []
    for _ in range(40):
        breaker.failed(100.0)
        pauses.append(breaker.pause_s)
    assert pauses[:4] == [0.25, 0.5, 1.0, 2.0]
    assert max(pauses) == pauses[-1] == LONGEST_PAUSE_S


def test_the_next_try_waits_for_the_end_of_the_pause() -> None:
    breaker = Breaker()
    assert breaker.may_try(0.0)
    breaker.failed(100.0)
    assert not breaker.may_try(100.2)
    assert breaker.may_try(100.25)


def test_requests_are_refused_only_after_several_failures_and_during_the_pause() -> None:
    breaker = Breaker()
    for failures in range(1, BROKEN_AFTER + 1):
        breaker.failed(100.0)
        assert breaker.refuses(100.0) == (failures == BROKEN_AFTER)
    assert not breaker.refuses(100.0 + breaker.pause_s)
    breaker.worked()
    assert breaker.may_try(0.0)
    assert not breaker.is_broken
