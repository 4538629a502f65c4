"""How long an idle worker rests after what it has seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postmill.model.queue.snapshot import (
    BACKGROUND_POLL_S,
    FOLLOW_S,
    FRESH_S,
    SPREAD_S,
    QueueSnapshot,
    rest_s,
)

FLOOR_S = 5.0
NOTHING = QueueSnapshot(paused=False, replaced=False, ahead_age_s=None, due_in_s=None, waiting=0, rivals=0)


def rest(
    look: QueueSnapshot, *, notified: bool = True, expecting: bool = False, chance: float = 1.0
) -> float:
    return rest_s(look, FLOOR_S, notified=notified, expecting=expecting, chance=chance)


def test_with_nothing_to_come_it_rests_up_to_the_poll_floor() -> None:
    assert rest(NOTHING) == FLOOR_S


def test_it_wakes_up_just_after_a_message_falls_due() -> None:
    assert rest(replace(NOTHING, due_in_s=2.0)) == pytest.approx(2.001)
    assert rest(replace(NOTHING, due_in_s=60.0)) == FLOOR_S


def test_workers_that_wait_for_the_same_message_are_spread() -> None:
    look = replace(NOTHING, due_in_s=1.0, waiting=4)
    assert rest(look, chance=0.0) == pytest.approx(1.001)
    assert rest(look, chance=1.0) == pytest.approx(1.001 + 3 * SPREAD_S)


def test_what_is_due_and_was_not_claimed_is_looked_for_soon() -> None:
    assert rest(replace(NOTHING, due_in_s=-3.0)) == BACKGROUND_POLL_S


@pytest.mark.parametrize(("notified", "expected"), [(True, FOLLOW_S), (False, BACKGROUND_POLL_S)])
def test_late_commits_are_expected_soon(notified: bool, expected: float) -> None:
    assert rest(NOTHING, expecting=True, notified=notified) == expected
    assert rest(replace(NOTHING, due_in_s=0.01), expecting=True, notified=notified) < expected


def test_a_paused_queue_has_nothing_to_look_for() -> None:
    assert rest(replace(NOTHING, paused=True, due_in_s=0.0), expecting=True) == FLOOR_S


def test_a_fresh_message_is_left_to_whoever_was_called_for_it() -> None:
    fresh = replace(NOTHING, ahead_age_s=FRESH_S / 2, waiting=2)
    assert fresh.is_anothers
    assert not replace(fresh, ahead_age_s=FRESH_S).is_anothers
    assert not replace(fresh, waiting=1).is_anothers
    assert not NOTHING.is_anothers
