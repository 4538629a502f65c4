"""A walk visits every id of its range within two rounds, whatever is sent meanwhile, and at a bounded
cost.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from postmill.model.queue.cursor import LOWEST
from postmill.model.queue.patrol import CHEAP_S, DEAR_S, PERIOD_S, SHARE, STEP_MIN, Walk

LATER_S = 1_000_000.0
"""Long after any pause."""


def test_a_round_ends_where_it_was_told_to_when_it_began() -> None:
    """While messages kept coming the end moved on: no round ended, and none began at the floor again."""
    walk, now_s, steps = Walk(step=100, due_s=0.0), 0.0, []
    for position in (100, 125, 150, 175, 200):
        now_s += LATER_S
        step = walk.next_step(0, position, now_s)
        assert step is not None
        walk.walked(step, DEAR_S, now_s)
        steps.append(step)
    assert steps == [(0, 100), (0, 100), (100, 125), (0, 100), (100, 175)]


def test_the_first_round_begins_after_a_period() -> None:
    """The walks of twenty workers that start together were in the way of their first messages."""
    walk = Walk()
    assert walk.next_step(0, 10, 50.0) is None
    assert walk.next_step(0, 10, 50.0 + PERIOD_S) == (0, 10)


def test_a_round_begins_once_in_a_period() -> None:
    walk = Walk(due_s=0.0)
    walk.walked(walk.next_step(0, 10, 50.0) or (0, 0), 0.0, 50.0)
    assert walk.next_step(0, 10, 50.0 + PERIOD_S - 0.1) is None
    assert walk.next_step(0, 10, 50.0 + PERIOD_S) == (0, 10)


def test_between_steps_it_pauses_as_its_share_says() -> None:
    walk = Walk(step=10, due_s=0.0)
    walk.walked(walk.next_step(0, 100, 0.0) or (0, 0), 0.005, 0.0)
    assert walk.under_way
    assert walk.next_step(0, 100, 0.005 * SHARE - 0.01) is None
    assert walk.next_step(0, 100, 0.005 * SHARE) == (10, 20)


def test_the_step_follows_its_cost() -> None:
    walk = Walk(step=20_000)
    walk.walked((0, 20_000), CHEAP_S / 2, 0.0)
    assert walk.step == 40_000
    walk.walked((20_000, 30_000), CHEAP_S / 2, 0.0)  # short of a step: says nothing of longer ones
    assert walk.step == 40_000
    walk.walked((30_000, 70_000), DEAR_S * 40, 0.0)
    assert walk.step == STEP_MIN
    walk.step = 1_000_000
    walk.failed()
    assert walk.step == 62_500


def test_a_step_that_was_not_walked_is_taken_again() -> None:
    walk = Walk(due_s=0.0)
    step = walk.next_step(0, 100, 0.0)
    assert walk.next_step(0, 500, 0.0) == step == (0, 100)


def test_ids_below_one_are_looked_through_in_one_step() -> None:
    walk = Walk(due_s=0.0)
    first = walk.next_step(LOWEST, 50_000, 0.0)
    assert first == (LOWEST, 0)
    walk.walked(first, 0.0, 0.0)
    assert walk.next_step(LOWEST, 50_000, 0.0) == (0, 20_000)


def test_a_range_that_begins_later_meanwhile_is_not_walked_from_where_it_began() -> None:
    walk = Walk(step=10, due_s=0.0)
    walk.walked(walk.next_step(0, 100, 0.0) or (0, 0), CHEAP_S, 0.0)
    assert walk.next_step(60, 200, LATER_S) == (60, 70)
    assert walk.next_step(100, 200, LATER_S) is None  # what is left of this round is dead


@settings(max_examples=200)
@given(
    st.integers(1, 400_000),
    st.lists(st.tuples(st.integers(0, 3_000), st.floats(0.0, 0.1)), min_size=1, max_size=20),
    st.integers(0, 30),
)
def test_every_id_is_visited_within_two_rounds(
    size: int, traffic: list[tuple[int, float]], before: int
) -> None:
    """A message becomes ready behind, at any moment of a round, while others keep coming and each step
    costs anything.
    """
    walk, now_s, position = Walk(), 0.0, size
    assert walk.next_step(0, position, now_s) is None
    wanted = None
    rounds = steps = 0
    for turn in range(10_000):
        came, took_s = traffic[turn % len(traffic)]
        position += came
        now_s += LATER_S
        step = walk.next_step(0, position, now_s)
        assert step is not None
        if turn == before:
            wanted, rounds, steps = (turn * 7_919) % position + 1, 0, 0
        walk.walked(step, took_s, now_s)
        steps += 1
        rounds += not walk.under_way
        if wanted is not None and step[0] < wanted <= step[1]:
            break
        assert wanted is None or rounds < 2
    assert steps <= 2 * (position // STEP_MIN + 2)
