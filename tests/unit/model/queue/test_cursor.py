"""The cursor's rules, checked by hand and against every order in which transactions can commit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmill.model.queue.cursor import LOWEST, OVERLAP, Cursor

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_new_worker_starts_at_the_hint() -> None:
    cursor = Cursor.at(1_000, NOW)
    assert (cursor.position, cursor.floor, cursor.due_after) == (1_000, 1_000, NOW - OVERLAP)


def test_an_empty_fast_lane_moves_past_what_is_not_due() -> None:
    cursor = Cursor.at(0, NOW)
    cursor.looked(100_000, [])
    cursor.drained()
    assert cursor.position == 100_000


def test_claims_without_a_gap_leave_nothing_to_look_for_behind() -> None:
    cursor = Cursor.at(0, NOW)
    cursor.looked(3, [])
    cursor.claimed([1, 2, 3])
    cursor.looked(6, [])
    cursor.claimed([4, 5, 6])
    cursor.looked(9, [])
    assert cursor.late_range is None


def test_a_gap_is_looked_at_again_and_only_once() -> None:
    cursor = Cursor.at(0, NOW)
    cursor.looked(1, [])
    cursor.claimed([1, 3])
    cursor.looked(3, [])
    late = cursor.late_range
    assert late == (1, 3)
    cursor.late_seen(late)
    cursor.looked(3, [])
    assert cursor.late_range is None


def test_a_late_range_is_left_behind_as_far_as_it_was_claimed() -> None:
    """A thousand messages of one slow transaction were looked through from the first at each claim."""
    cursor = Cursor.at(0, NOW)
    cursor.looked(1, [])
    cursor.claimed([1, 10])
    cursor.looked(10, [])
    assert cursor.late_range == (1, 10)
    cursor.late_claimed((1, 10), [2, 5, 4])
    assert cursor.late_range == (5, 10)
    cursor.late_claimed((5, 10), [])  # the queue is paused
    assert cursor.late_range == (5, 10)


def test_a_late_range_goes_back_for_who_was_writing_in_what_was_claimed_of_it() -> None:
    cursor = Cursor.at(0, NOW)
    cursor.looked(2, [])
    cursor.claimed([1, 2])
    cursor.looked(2, [])
    cursor.looked(9, ["slow", "slower"])  # took ids between 3 and 9
    cursor.claimed([9])
    cursor.looked(9, ["slower"])  # the first has committed 3 to 5
    assert cursor.late_range == (2, 9)
    cursor.late_claimed((2, 9), [3, 5])
    cursor.looked(9, [])  # the other has committed 4
    assert cursor.late_range == (2, 9)


def test_a_writer_that_ended_is_looked_for_from_before_it_was_first_seen() -> None:
    cursor = Cursor.at(0, NOW)
    cursor.looked(10, [])
    cursor.claimed(range(1, 11))
    cursor.looked(10, [])
    cursor.looked(15, ["slow"])  # took some id between 11 and 15
    cursor.claimed([12, 14])
    cursor.drained()
    cursor.looked(20, ["slow"])
    while cursor.late_range is not None:
        cursor.late_seen(cursor.late_range)
        cursor.looked(20, ["slow"])
    assert cursor.safe == 10
    cursor.looked(20, [])
    assert cursor.late_range == (10, 14)  # 15 is still ahead


def test_ids_that_are_not_committed_yet_stay_ahead() -> None:
    # Passed by, a transaction of 100,000 messages was claimed a few at a time from behind.
    cursor = Cursor.at(0, NOW)
    cursor.looked(50_000, ["large"])
    cursor.drained()
    cursor.looked(100_000, [])
    assert cursor.position == 0
    assert cursor.late_range is None


def test_the_due_lane_looks_back_over_writes_that_commit_late() -> None:
    cursor = Cursor.at(0, NOW)
    later = NOW + timedelta(seconds=30)
    cursor.due_seen(later)
    assert cursor.due_after == later - OVERLAP
    cursor.due_seen(NOW)
    assert cursor.due_after == later - OVERLAP


def test_the_floor_rises_over_what_is_dead_and_stops_at_what_is_alive() -> None:
    cursor = Cursor.at(0, NOW)
    cursor.looked(50_000, [])
    cursor.claimed(range(1, 50_001))
    cursor.patrolled((0, 20_000), alive=False)
    assert cursor.floor == 20_000
    cursor.patrolled((20_000, 40_000), alive=True)
    cursor.patrolled((40_000, 50_000), alive=False)
    assert cursor.floor == 20_000


def test_the_floor_waits_for_writers_in_flight() -> None:
    cursor = Cursor.at(0, NOW)
    cursor.looked(10, ["slow"])
    cursor.claimed(range(5, 11))
    cursor.patrolled((0, 10), alive=False)
    assert cursor.floor == 0


def test_the_floor_falls_to_what_was_put_back_below_it() -> None:
    """Rows with old ids: other workers must not be told any more that nothing is alive there."""
    cursor = Cursor.at(50_000, NOW)
    cursor.patrolled((20_000, 40_000), alive=True)
    assert cursor.floor == 20_000
    cursor.patrolled((LOWEST, 0), alive=True)
    assert cursor.floor == 0


@pytest.mark.parametrize(
    ("history", "sequence", "fits"),
    [("here", 100, True), ("here", 101, True), ("here", 99, False), ("elsewhere", 101, False)],
)
def test_a_cursor_fits_one_history_in_which_ids_only_grow(history: str, sequence: int, fits: bool) -> None:
    cursor = Cursor.at(10, NOW, "here")
    cursor.looked(100, [])
    assert cursor.fits(history, sequence) is fits


def test_the_patrol_looks_behind_the_position_and_below_the_floor() -> None:
    cursor = Cursor.at(1_000, NOW)
    cursor.looked(1_500, [])
    cursor.drained()
    walks = (cursor.near, cursor.far)
    assert [cursor.next_step(walk, 0.0) for walk in walks] == [None, None]
    assert [cursor.next_step(walk, 60.0) for walk in walks] == [(1_000, 1_500), (LOWEST, 0)]
    assert cursor.patrolling


@settings(max_examples=300)
@given(st.data())
def test_whatever_the_order_of_commits_every_id_is_seen(data: st.DataObject) -> None:
    """Transactions take ids, and commit or roll back in any order between claims and looks."""
    cursor = Cursor.at(0, NOW)
    given_out, visible, seen = 0, set[int](), set[int]()
    open_writers: dict[str, list[int]] = {}
    for number in range(data.draw(st.integers(1, 25), label="steps")):
        action = data.draw(
            st.sampled_from(["take", "commit", "roll back", "fast", "look", "late"]), label="action"
        )
        if action == "take":
            writer = data.draw(st.sampled_from([f"w{number}", *open_writers]), label="writer")
            given_out += 1
            open_writers.setdefault(writer, []).append(given_out)
        elif action in {"commit", "roll back"} and open_writers:
            writer = data.draw(st.sampled_from(sorted(open_writers)), label="ended")
            ids = open_writers.pop(writer)
            if action == "commit":
                visible.update(ids)
        elif action == "fast":
            _fast(cursor, visible, seen, data.draw(st.integers(1, 3), label="wanted"))
        elif action == "look":
            cursor.looked(given_out, open_writers)
        elif action == "late":
            _late(cursor, visible, seen, data.draw(st.integers(1, 3), label="wanted"))
    visible.update(*open_writers.values())
    for _ in range(2):  # the writers' end is noticed at the next look; what follows needs one more
        cursor.looked(given_out, [])
        _late(cursor, visible, seen, len(visible) + 1)
        _fast(cursor, visible, seen, len(visible) + 1)
    assert seen == visible


def _fast(cursor: Cursor, visible: set[int], seen: set[int], wanted: int) -> None:
    ahead = sorted(each for each in visible - seen if each > cursor.position)
    caught = ahead[:wanted]
    seen.update(caught)
    cursor.claimed(caught)
    if len(caught) < wanted:
        cursor.drained()


def _late(cursor: Cursor, visible: set[int], seen: set[int], wanted: int) -> None:
    late = cursor.late_range
    if late is not None:
        caught = sorted(each for each in visible - seen if late[0] < each <= late[1])[:wanted]
        seen.update(caught)
        if len(caught) < wanted:
            cursor.late_seen(late)
        else:
            cursor.late_claimed(late, caught)
