"""Groups and limits under races: places and windows are never exceeded, and no message is lost on its way."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from postmill.model.queue.outcome import RELEASED
from tests.faults.gate_race import GROUPS, QUEUE, Race, drain, kill_sessions, race_on, rescue, work
from tests.sql.asking import column

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.protocol import Database

MESSAGES = 600
RACE_S = 2.0
LONG_RACE_S = 6.0
"""Three times as long: dozens of sessions are ended in it."""
BEGUN = 50
"""Attempts that make a race: it goes on until there were so many, however slow the machine is."""
WORKERS = 8
"""Sessions that claim, in the fast form. Twenty in the slow one."""


def send(race: Race) -> list[int]:
    """Messages of all groups, and without one."""
    keys = [
        random.choice([*GROUPS, None]) if race.limited else random.choice(GROUPS) for _ in range(MESSAGES)
    ]
    payloads = "array_fill('1'::jsonb, array[cardinality($2::text[])])"
    sending = f"select postmill.send_batch($1, {payloads}, group_keys => $2)"
    return column(race.protocol.db, sending, QUEUE, keys)


def assert_all_ended_once(race: Race, sent: list[int]) -> None:
    """Each message came to an end, none came to two, and nothing is left."""
    drain(race)
    db = race.protocol.db
    archived = column(db, f"select msg_id from pgmq.a_{QUEUE}")
    dead = column(db, "select msg_id from postmill.dead_letters")
    cancelled = column(db, "select msg_id from postmill.cancellations where cancelled_at is not null")
    assert sorted(archived + dead + cancelled) == sent


LIMITS = {
    "each group": {"each": 3},
    "one group": {"each": 3, "g1": 1, "g2": 7},
    "queue": {"*": 5},
    "both": {"*": 5, "each": 2},
}


@pytest.mark.parametrize("limits", LIMITS)
def test_no_group_runs_more_than_it_may(db: Database, connect: Callable[[], Database], limits: str) -> None:
    """Elsewhere a semaphore leaked: what failed, or was held by a worker that crashed, kept its slot."""
    race = race_on(db, connect, LIMITS[limits])
    race.has_seen_enough = lambda race: race.judge.begun >= BEGUN
    sent = send(race)
    race.run(RACE_S, *[work] * WORKERS, rescue)
    assert race.judge.exceeded == 0
    assert race.judge.begun >= BEGUN
    assert_all_ended_once(race, sent)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("limits", LIMITS)
def test_twenty_workers_and_sessions_that_are_ended(
    db: Database, connect: Callable[[], Database], limits: str
) -> None:
    race = race_on(db, connect, LIMITS[limits])
    race.has_seen_enough = lambda race: race.killed > 0
    sent = [*send(race), *send(race), *send(race)]
    race.run(LONG_RACE_S, *[work] * 20, rescue, kill_sessions)
    assert race.judge.exceeded == 0
    assert race.killed > 0
    assert_all_ended_once(race, sent)


def through_many_groups(race: Race) -> Race:
    """One worker takes its time, for it goes through many groups, while others are quick in single ones."""
    race.groups = tuple(f"g{number}" for number in range(100))
    race.wanted, race.ends = (1, 1, 100), (RELEASED,)
    send(race)
    return race


@pytest.mark.parametrize("limit", ["*", "each"])
def test_the_judge_sees_too_many_at_once(db: Database, connect: Callable[[], Database], limit: str) -> None:
    """The control: a claim of several messages is more than the judge allows. What the locks are for is shown
    in test_gate_races of the room sql.
    """
    race = race_on(db, connect, {limit: 3})
    race.judge.most, race.wanted = {limit: 2}, (100,)
    race.has_seen_enough = lambda race: race.judge.exceeded > 0
    send(race)
    race.run(RACE_S, work)
    assert race.judge.exceeded


@pytest.mark.parametrize("most", [{"*": 7}, {"each": 1}], ids=["queue", "each group"])
def test_a_long_way_through_many_groups_exceeds_nothing(
    db: Database, connect: Callable[[], Database], most: dict[str, int]
) -> None:
    race = through_many_groups(race_on(db, connect, most))
    race.run(RACE_S, *[work] * WORKERS, rescue)
    assert race.judge.exceeded == 0
