"""What a worker does next: each state by hand, every turn beside a plain telling of it, and no call is lost.

A message once lay in the queue until the poll floor: its sender had committed between a worker's look and its
registration.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmill.model.queue.claim_policy import (
    BACKGROUND_POLL_S,
    FOLLOW_S,
    LOOKBACK_IDS,
    MISSING_POLL_S,
    PATROLLING_S,
    QUIET_AFTER_BUSY_S,
    SLOW_LANE_DIVISOR,
    SPREAD_S,
    ClaimPolicy,
    rest_s,
)
from postmill.model.queue.claim_steps import (
    FRESH_S,
    Backlog,
    Begin,
    ClaimAhead,
    ClaimBehind,
    ClaimState,
    Look,
    PassOn,
    QueueSnapshot,
    Register,
    Rest,
    Step,
)
from tests.properties import FIRST_FAILURE
from tests.unit.model.queue.claim_worlds import POLL_S, PlainTurns, Queue

FLOOR_S = 5.0
NOTHING = QueueSnapshot(paused=False, replaced=False, ahead_age_s=None)
OLD = replace(NOTHING, ahead_age_s=60.0)


def policy(*, notified: bool = True) -> ClaimPolicy:
    made = ClaimPolicy(max_poll_s=POLL_S, poll_interval_s=POLL_S)
    made.notified = notified
    return made


def step(of: ClaimPolicy, wanted: int = 8, *, now: float = 0.0, listed: bool = True) -> Step:
    return of.next_step(now, wanted, begun=True, listed=listed)


def looked(of: ClaimPolicy, look: QueueSnapshot, *, now: float = 0.0, saturated: bool = False) -> None:
    of.looked(look, now, chance=1.0, saturated=saturated)


def resting(*, notified: bool = True) -> ClaimPolicy:
    """One that has looked and found nothing."""
    made = policy(notified=notified)
    assert step(made) == Look(idle=True)
    looked(made, NOTHING)
    assert step(made) == ClaimBehind(8)
    made.claimed_behind(0)
    assert step(made) == Rest(POLL_S)
    return made


def behind() -> ClaimPolicy:
    """One that took all it could, twice in a row."""
    made = resting()
    made.call()
    assert step(made) == ClaimAhead(8, LOOKBACK_IDS)
    assert made.claimed(8, complete=False, now_s=0.0, listed=True) is Backlog.CALL_ANOTHER
    assert step(made) == Look(idle=True)
    looked(made, OLD)
    assert [step(made), step(made)] == [ClaimBehind(8 // SLOW_LANE_DIVISOR), ClaimAhead(8)]
    assert made.claimed(8, complete=False, now_s=0.0, listed=True) is Backlog.CALL_ANOTHER
    assert made.state is ClaimState.BEHIND
    return made


def test_a_worker_registers_and_then_looks_once() -> None:
    made = policy()
    assert step(made, listed=False) == Register()
    assert step(made) == Look(idle=True)
    looked(made, NOTHING)
    assert step(made) == ClaimBehind(8)
    assert step(made) == Rest(POLL_S)


def test_one_that_polls_does_not_register() -> None:
    assert step(policy(notified=False), listed=False) == Look(idle=True)


def test_one_that_was_called_claims_without_a_look() -> None:
    made = resting()
    made.call()
    assert step(made) == ClaimAhead(8, LOOKBACK_IDS)
    made.claimed(1, complete=True, now_s=0.0, listed=True)
    assert step(made) == Rest(FOLLOW_S)
    assert step(made, now=FOLLOW_S) == Look(idle=True)


def test_a_call_during_a_look_is_followed_by_a_claim_and_by_no_other_look() -> None:
    made = policy()
    assert step(made) == Look(idle=True)
    made.call()
    looked(made, replace(NOTHING, ahead_age_s=0.0, waiting=2))
    assert [step(made), step(made)] == [ClaimBehind(2), ClaimAhead(8, LOOKBACK_IDS)]
    made.claimed(1, complete=True, now_s=0.0, listed=True)
    assert step(made) == Rest(FOLLOW_S)


def test_a_call_during_a_claim_is_followed_by_a_look_that_leaves_nothing_to_others() -> None:
    made = resting()
    made.call()
    step(made)
    made.call()
    made.claimed(1, complete=True, now_s=0.0, listed=True)
    assert step(made) == Look(idle=True)
    looked(made, replace(NOTHING, ahead_age_s=0.0, waiting=2))
    assert [step(made), step(made)] == [ClaimBehind(2), ClaimAhead(8)]


def test_what_was_sent_a_moment_ago_is_left_to_the_worker_that_was_called() -> None:
    made = policy()
    step(made)
    looked(made, replace(NOTHING, ahead_age_s=0.0, waiting=2))
    assert [step(made), step(made)] == [ClaimBehind(2), Rest(POLL_S)]


def test_without_room_a_call_is_passed_on_and_a_look_follows() -> None:
    made = resting()
    made.call()
    assert step(made, wanted=0) == PassOn()
    assert step(made, wanted=0, listed=False) == Rest(BACKGROUND_POLL_S, for_room=True)
    assert step(made, listed=False) == Register()
    assert step(made) == Look(idle=True)


def test_one_that_is_behind_claims_without_a_pause_and_gives_the_lanes_behind_their_share() -> None:
    made = behind()
    for _ in range(3):
        assert step(made, now=0.1) == ClaimAhead(8)
        assert made.claimed(8, complete=False, now_s=0.1, listed=True) is None
    assert step(made, now=BACKGROUND_POLL_S) == Look(idle=False)
    made.look_soon()  # again and again: the fast lane has its turn all the same
    looked(made, OLD, now=BACKGROUND_POLL_S)
    assert [step(made), step(made)] == [ClaimBehind(2), ClaimAhead(8)]


def test_one_that_is_behind_for_a_second_need_not_be_called() -> None:
    made = behind()
    late = QUIET_AFTER_BUSY_S + 0.1
    assert made.claimed(8, complete=False, now_s=late, listed=True) is Backlog.NEED_NOT_BE_CALLED
    assert made.claimed(8, complete=False, now_s=late, listed=False) is None


def test_one_that_is_behind_steps_back_where_others_are_as_fast() -> None:
    made = behind()
    made.look_soon()
    assert step(made) == Look(idle=False)
    looked(made, replace(OLD, rivals=2), saturated=True)
    assert made.state is ClaimState.CAUGHT_UP
    assert step(made, listed=False) == Register()
    assert step(made) == Rest(POLL_S)


def test_a_paused_queue_is_looked_at_and_not_claimed_from() -> None:
    made = policy()
    step(made)
    looked(made, replace(OLD, paused=True, due_in_s=0.0))
    assert made.state.value == "paused"
    assert step(made) == Rest(POLL_S)
    made.call()
    assert step(made) == Look(idle=True)
    looked(made, replace(NOTHING, ahead_age_s=0.0, waiting=2))  # resumed
    assert made.state.value == "caught up"
    assert [step(made), step(made)] == [ClaimBehind(2), ClaimAhead(8)]


def test_a_missing_queue_is_tried_once_a_second_and_when_something_happens() -> None:
    made = resting()
    assert made.is_missing(10.0)
    assert not made.is_missing(10.0)
    assert made.state is ClaimState.MISSING
    unknown = partial(made.next_step, wanted=8, begun=False, listed=False)
    assert unknown(10.0) == Rest(MISSING_POLL_S)
    assert unknown(11.0) == Begin()
    made.is_missing(11.0)
    made.look_soon()
    assert unknown(11.0) == Begin()
    assert made.began()
    assert not made.began()
    assert step(made, now=11.0) == Look(idle=True)


def test_after_a_failure_it_looks() -> None:
    made = resting()
    made.call()
    step(made)
    made.failed()
    assert step(made) == Look(idle=True)


LOOKS = st.builds(
    QueueSnapshot,
    paused=st.sampled_from([False, False, False, True]),
    replaced=st.just(False),
    ahead_age_s=st.sampled_from([None, 0.0, 1.0]),
    due_in_s=st.sampled_from([None, -1.0, 0.1]),
    waiting=st.integers(0, 2),
    rivals=st.sampled_from([0, 0, 2]),
    lanes_behind=st.integers(0, 2),
    expecting=st.booleans(),
    patrolling=st.booleans(),
)


@settings(FIRST_FAILURE, max_examples=500)
@given(data=st.data(), notified=st.booleans())
def test_every_turn_is_as_the_plain_telling_says(data: st.DataObject, notified: bool) -> None:
    made, plain = policy(notified=notified), PlainTurns(notified=notified)
    turns = plain.turns()
    plain.wanted = 8
    expected = next(turns)
    for _ in range(40):
        assert step(made, plain.wanted, now=plain.now, listed=plain.listed) == expected
        expected = turns.send(_answered(data, expected, made, plain))


def _answered(data: st.DataObject, asked: Step, made: ClaimPolicy, plain: PlainTurns) -> object:
    """Answer a step, and tell the policy."""
    match asked:
        case Register() | PassOn():
            plain.listed = isinstance(asked, Register)
        case Look():
            look = data.draw(LOOKS)
            looked(made, look, now=plain.now, saturated=True)
            return look
        case ClaimBehind():
            found = data.draw(st.sampled_from([0, 0, 1]))
            plain.wanted -= found if plain.wanted == 1 else 0
            made.claimed_behind(found)
            return found
        case ClaimAhead(limit):
            if data.draw(st.booleans()):
                _call(made, plain)
            messages = data.draw(st.sampled_from([0, 1, limit, limit]))
            made.claimed(messages, complete=messages < limit, now_s=plain.now, listed=plain.listed)
            return messages, messages < limit
        case Rest():
            plain.now += data.draw(st.sampled_from([0.0, 0.1, 0.25, 1.5, 6.0]))
            plain.wanted = data.draw(st.sampled_from([0, 1, 8, 8]))
            match data.draw(st.sampled_from(["call", "look", None])):
                case "call":
                    _call(made, plain)
                case "look":
                    made.look_soon()
                    plain.look_at = 0.0
    return None


def _call(made: ClaimPolicy, plain: PlainTurns) -> None:
    made.call()
    if plain.paused:
        plain.in_doubt, plain.look_at = True, 0.0
    else:
        plain.called = True


BURSTS = st.sampled_from([0, 0, 0, 1, 3, 200])


@settings(FIRST_FAILURE, max_examples=300)
@given(bursts=st.lists(st.tuples(BURSTS, BURSTS), max_size=30))
def test_no_message_is_left_when_a_worker_rests(bursts: list[tuple[int, int]]) -> None:
    """Whenever they are sent: before the server has done a step, or before the worker has its answer."""
    assert _left(policy(), bursts) == 0


def test_one_that_looks_before_it_registers_leaves_messages() -> None:
    """The control of the test above."""

    class Hasty(ClaimPolicy):
        def next_step(self, now_s: float, wanted: int, *, begun: bool, listed: bool) -> Step:
            return super().next_step(now_s, wanted, begun=begun, listed=listed or self._has_to_look(now_s))

    made = Hasty(max_poll_s=POLL_S, poll_interval_s=POLL_S)
    made.notified = True
    assert _left(made, [(0, 1)]) == 1


def nothing() -> None: ...


def _left(made: ClaimPolicy, bursts: list[tuple[int, int]]) -> int:
    queue = Queue(made)
    for before, after in bursts:
        queue.step(before=partial(_send, queue, before), after=partial(_send, queue, after))
    while not isinstance(queue.step(before=nothing, after=nothing), Rest):
        assert len(queue.steps) < 1_000
    return len(queue.unclaimed)


def _send(queue: Queue, many: int) -> None:
    if many:
        queue.send(many)


@settings(FIRST_FAILURE, max_examples=200)
@given(calls=st.lists(st.booleans(), min_size=60, max_size=60))
def test_however_often_it_is_called_the_lanes_behind_have_their_turn(calls: list[bool]) -> None:
    queue = Queue(policy())
    queue.unclaimed.update(range(10_000))
    for called in calls:
        queue.step(before=queue.policy.call if called else nothing, after=nothing)
        queue.now += 0.1
    turns = [number for number, taken in enumerate(queue.steps) if isinstance(taken, ClaimBehind)]
    assert max(later - earlier for earlier, later in pairwise([0, *turns, len(calls)])) <= 8


def rest(
    look: QueueSnapshot, *, notified: bool = True, expecting: bool = False, chance: float = 1.0
) -> float:
    return rest_s(replace(look, expecting=expecting), FLOOR_S, notified=notified, chance=chance)


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


def test_the_patrol_goes_on_soon() -> None:
    assert rest(replace(NOTHING, patrolling=True)) == PATROLLING_S


def test_a_paused_queue_has_nothing_to_look_for() -> None:
    assert rest(replace(NOTHING, paused=True, due_in_s=0.0), expecting=True) == FLOOR_S


def test_a_fresh_message_is_left_to_whoever_was_called_for_it() -> None:
    fresh = replace(NOTHING, ahead_age_s=FRESH_S / 2, waiting=2)
    assert fresh.is_anothers
    assert not replace(fresh, ahead_age_s=FRESH_S).is_anothers
    assert not replace(fresh, waiting=1).is_anothers
    assert not NOTHING.is_anothers
