"""Places in a group are counted under the lock of the group's row, by a snapshot that was taken after it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from postmill.sql.catalog import scripts
from tests.faults.protocol import Change
from tests.sql.asking import Database, value
from tests.sql.test_claim_gated import claim_gated, end, send

if TYPE_CHECKING:
    from collections.abc import Callable

GROUPS = "from unnest(keys, rows_at) as next (group_key, row_at)"
PAUSED = """from (select k as group_key, t as row_at from unnest(keys, rows_at) as each (k, t)
      where case when current_setting('test.pause', true) = 'on'
            then pg_advisory_xact_lock(7) is not null else true end) as next"""
COUNT = """select count(*) from postmill.gates as held
                   where held.queue_name = queue and held.group_key = l.key and held.claim_id >= oldest"""
MAXIMUM = "then coalesce(g.max_running, limits.group_max_running) end as maximum"
COUNTED = """then coalesce(g.max_running, limits.group_max_running) - (
                   select count(*) from postmill.gates as held
                   where held.queue_name = queue and held.group_key = g.group_key and held.claim_id >= oldest
               )::integer end as maximum"""
NO_LOCK_ON_A_GROUP = Change("_pick_gated", r"\n *for update skip locked", "")
NO_LOCK_ON_THE_QUEUE = Change("_room_in_queue", r" for update skip locked", "")


def replaced(text: str, *changes: tuple[str, str]) -> bytes:
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text.encode()


def two_places(db: Database, *changes: tuple[str, str]) -> None:
    """Each group has two, and sessions that say so wait for a lock before they lock a group."""
    db.execute(replaced(dict(scripts("functions"))["_pick_gated"], (GROUPS, PAUSED), *changes))
    db.execute(b"select postmill.limit_groups('re-size', max_running => 2)")


def overtaken(
    db: Database, connect: Callable[[], Database], overtaking: Callable[[Database], object]
) -> dict[str, Any]:
    """A claim that has looked at a group, and is about to lock its row, when `overtaking` is done in another
    session.
    """
    claim_gated(db, 0)  # the group's row is there
    late = connect()
    late.execute(b"set test.pause = 'on'")
    db.execute(b"select pg_advisory_lock(7)")
    with ThreadPoolExecutor(1) as pool:
        claimed = pool.submit(claim_gated, late)
        while not value(db, "select cardinality(pg_blocking_pids($1)) > 0", late.info.backend_pid):
            assert not claimed.done()
        overtaking(connect())
        db.execute(b"select pg_advisory_unlock(7)")
        return claimed.result()


def claimed_in_all(db: Database, connect: Callable[[], Database], *changes: tuple[str, str]) -> int:
    """By a claim of a group with two places, and another one that it overtakes."""
    two_places(db, *changes)
    send(db, "a", "a", "a", "a")
    overtaken(db, connect, claim_gated)
    held: int = value(db, "select count(*) from postmill.gates where claim_id is not null")
    return held


def test_a_claim_that_comes_a_moment_later_counts_the_first_one(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    assert claimed_in_all(db, connect) == 2


def test_counted_in_the_statement_that_locks_a_group_runs_too_many(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """The control: 155 times in a race of the prototype, and each time here."""
    assert claimed_in_all(db, connect, (COUNT, "select 0"), (MAXIMUM, COUNTED)) == 4


def test_a_place_is_left_for_the_next_claim_when_the_first_gate_is_gone(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """Of a group with one free place the gate is taken that was the first one: the claim says that it missed
    the others.
    """
    two_places(db)
    send(db, "a", "a", "a")
    claim_gated(db, 1)

    def take_and_end(other: Database) -> None:
        assert claim_gated(other)["msg_ids"] == [2]
        end(other, 2)

    claimed = overtaken(db, connect, take_and_end)
    assert (claimed["msg_ids"], claimed["complete"]) == ([], False)
    assert claim_gated(db)["msg_ids"] == [3]


@pytest.fixture(params=[False, True], ids=["", "control"])
def control(request: pytest.FixtureRequest) -> bool:
    """Whether the lock is taken out: then the same claims run too many."""
    return bool(request.param)


def without(db: Database, change: Change) -> None:
    """Put a mistake into a function."""
    db.execute(change.apply(dict(scripts("functions"))[change.name]).encode())


def test_a_group_that_another_session_counts_is_left_to_it(
    db: Database, queue: str, connect: Callable[[], Database], control: bool
) -> None:
    """A claim never waits for another one, nor does it count without it."""
    if control:
        without(db, NO_LOCK_ON_A_GROUP)
    db.execute(b"select postmill.limit_groups('re-size', max_running => 1)")
    send(db, "a", "a", "b")
    claim_gated(db, 0)
    with connect() as other, other.transaction():
        assert claim_gated(other, 1)["msg_ids"] == [1]
        claimed = claim_gated(db, left_out=(1,))
        assert (claimed["msg_ids"], claimed["is_busy"]) == (([2, 3], False) if control else ([3], True))
    assert claim_gated(db)["msg_ids"] == []


def test_a_queue_that_another_session_counts_is_left_to_it(
    db: Database, queue: str, connect: Callable[[], Database], control: bool
) -> None:
    if control:
        without(db, NO_LOCK_ON_THE_QUEUE)
    db.execute(b"select postmill.limit_queue('re-size', max_running => 2)")
    send(db, "a", "a")
    claim_gated(db, 0)
    with connect() as other, other.transaction():
        assert claim_gated(other)["msg_ids"] == [1, 2]
        send(db, "b")
        claimed = claim_gated(db)
        assert (claimed["msg_ids"], claimed["is_busy"]) == ([3] * control, True)
    assert claim_gated(db)["msg_ids"] == []


def test_a_gate_that_is_parked_again_while_it_is_mended_stays(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """Its message was leased by another client, and comes back to its group in this very moment: removing the
    gate would leave the message parked for ever.
    """
    send(db, "a")
    db.execute(b"select pgmq.set_vt('re-size', 1, 60)")
    mend = "select postmill._mend_gates('re-size', 'pgmq.\"q_re-size\"', '{1}')"
    parking = connect()
    parking.execute(b"begin")
    parking.execute(b'update pgmq."q_re-size" set vt = postmill._parked_until()')
    parking.execute(b"select postmill._park('re-size', '{1}', '{a}', array[now()])")
    assert value(db, mend) == 0
    parking.execute(b"commit")
    assert value(db, "select count(*) from postmill.gates") == 1
    assert claim_gated(db)["msg_ids"] == [1]
