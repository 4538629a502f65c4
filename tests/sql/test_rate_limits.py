"""Rate limits: no window has too many starts, and nearly all that are allowed can be used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmill.sql.catalog import scripts
from tests.faults.protocol import Change
from tests.properties import FIRST_FAILURE
from tests.sql.asking import Database, row, value
from tests.sql.meeting import wait_for_lock

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
PERIOD = timedelta(seconds=1)
LONGEST_LIST = 1000
"""Up to this limit each start is remembered."""
ON_A_SERVER = settings(FIRST_FAILURE, max_examples=40)


@dataclass
class Limit:
    """One limit on a clock of the test's own, asked as claim_gated asks, and all that it has granted."""

    db: Database
    starts: int
    per: timedelta = PERIOD
    now: datetime = EPOCH
    granted: list[tuple[datetime, int]] = field(default_factory=list)
    recent: list[datetime] = field(default_factory=list)
    tat: datetime | None = None
    again_at: datetime = EPOCH

    def ask(self, wanted: int) -> int:
        """Take as many as are given at this moment."""
        if self.starts <= LONGEST_LIST:
            text = "select * from postmill._window_starts($1, $2, $3, $4, $5)"
            answer = row(self.db, text, self.recent, self.now, wanted, self.starts, self.per)
            self.recent = answer["kept"]
        else:
            text = "select * from postmill._paced_starts($1, $2, $3, $4, $5, $6)"
            tat = self.tat or "-infinity"
            answer = row(self.db, text, self.recent, tat, self.now, wanted, self.starts, self.per)
            self.recent, self.tat = [], answer["kept"]
        self.again_at = answer["again_at"]
        self.granted.append((self.now, answer["granted"]))
        return int(answer["granted"])

    @property
    def counted(self) -> int:
        """Starts in the period that ends now."""
        return sum(many for at, many in self.granted if at > self.now - self.per)


@given(
    starts=st.sampled_from([1, 2, 3, 10, 1000]),
    asked=st.lists(st.tuples(st.integers(0, 700_000), st.integers(0, 12)), max_size=30),
)
@ON_A_SERVER
def test_up_to_a_thousand_what_is_free_is_granted_and_no_more(
    db: Database, starts: int, asked: list[tuple[int, int]]
) -> None:
    """The rule in one line of Python: what the starts of the last period leave."""
    limit = Limit(db, starts)
    for pause_us, wanted in asked:
        limit.now += pause_us * MICROSECOND
        free = starts - limit.counted
        assert limit.ask(wanted) == min(wanted, free)
        all_of_them = [at for at, many in limit.granted for _ in range(many)]
        frees = limit.now if limit.counted < starts else all_of_them[-starts] + PERIOD
        assert limit.again_at == frees


@given(
    starts=st.sampled_from([1001, 5000, 1_000_000, 2**31 - 1]),
    per_us=st.sampled_from([1, 999, 1_000_000, 100 * 86_400_000_000]),
    asked=st.lists(st.tuples(st.floats(0, 0.7), st.floats(0, 0.5)), max_size=30),
)
@ON_A_SERVER
def test_above_a_thousand_no_window_has_too_many(
    db: Database, starts: int, per_us: int, asked: list[tuple[float, float]]
) -> None:
    limit = Limit(db, starts, per_us * MICROSECOND)
    for pause, wanted in asked:
        limit.now += int(pause * per_us) * MICROSECOND
        limit.ask(int(wanted * starts))
        assert limit.counted <= starts


@pytest.mark.parametrize("starts", [1, 2, 10, 100, 1000, 1001, 5000])
@pytest.mark.parametrize("late", [0.004, 0.03])
def test_a_limit_does_not_halve_the_throughput(db: Database, starts: int, late: float) -> None:
    """Elsewhere a limit of 10 gave 5. A worker that asks when it is told to, or a little later, uses 0.95."""
    limit = Limit(db, starts)
    while limit.now < EPOCH + 5 * PERIOD:
        limit.ask(starts)
        assert limit.counted <= starts
        limit.now = max(limit.again_at, limit.now + late * PERIOD)
    assert sum(many for _, many in limit.granted) >= 0.95 * 5 * starts


@pytest.mark.parametrize("starts", [3, 2000])
def test_a_clock_that_is_set_back_costs_one_period(db: Database, starts: int) -> None:
    """The last starts lay an hour ahead, and the group stood still for an hour."""
    limit = Limit(db, starts, now=EPOCH + timedelta(hours=1))
    limit.ask(starts)
    limit.now, limit.granted = EPOCH, []
    assert limit.ask(starts) == 0
    assert limit.again_at <= EPOCH + PERIOD
    limit.now = EPOCH + PERIOD
    assert limit.ask(1) == 1


@pytest.mark.parametrize(("before", "after"), [(1000, 2000), (10, 2000), (10, 3), (3, 10), (2000, 5000)])
def test_a_limit_that_changes_counts_what_has_started(db: Database, before: int, after: int) -> None:
    limit = Limit(db, before)
    limit.ask(before)
    limit.starts = after
    limit.now += PERIOD / 10
    for _ in range(100):
        limit.ask(after)
        assert limit.counted <= max(before, after)
        limit.now += PERIOD / 50
    assert sum(many for _, many in limit.granted[50:100]) >= 0.9 * after


def test_a_limit_that_is_lowered_to_a_list_waits_until_all_starts_are_old(db: Database, queue: str) -> None:
    """The pace says when the last start was, and not when those before it were."""
    asking = "select granted, again_at <= clock_timestamp() + interval '1 h' as soon"
    ask = f"{asking} from postmill._grant_starts('re-size', 'acme', 1000, $1, '1 h')"
    assert row(db, ask, 5000) == {"granted": 200, "soon": True}
    assert row(db, ask, 10) == {"granted": 0, "soon": True}
    db.execute(b"update postmill.groups set recent = array(select unnest(recent) - interval '1 h')")
    assert row(db, ask, 10) == {"granted": 10, "soon": True}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_day_has_24_hours_in_every_zone(db: Database, zone: str) -> None:
    """Clocks go forward on 29 March. That day has 23 hours there, and a start came too early."""
    db.execute(f"set timezone = '{zone}'".encode())
    limit = Limit(db, 1, timedelta(days=1), datetime(2026, 3, 28, 12, tzinfo=UTC))
    limit.ask(1)
    limit.now += timedelta(hours=23, minutes=30)
    assert limit.ask(1) == 0
    assert limit.again_at == datetime(2026, 3, 29, 12, tzinfo=UTC)


RACERS = 8
"""Sessions that ask at once. With two, most runs meet no collision."""
RACE_S = 1.0
SPIED = """
create or replace function spied(starts integer, per interval, out granted integer, out at timestamptz)
language plpgsql as $$
begin
    granted := (postmill._grant_starts('re-size', 'acme', 1 + (random() * 3)::integer, starts, per)).granted;
    at := (select recent[cardinality(recent)] from postmill.groups);
end $$
"""
"""Asks, and says which moment was written down: that of the starts."""


def raced(db: Database, connect: Callable[[], Database], starts: int, per: timedelta) -> int:
    """Many sessions ask at once, again and again. The most that any window had."""
    db.execute(SPIED.encode())
    granted: list[tuple[datetime, int]] = []
    barrier = Barrier(RACERS)
    sessions = [connect() for _ in range(RACERS)]
    end = value(db, "select clock_timestamp() + $1", timedelta(seconds=RACE_S))

    def ask(session: Database) -> None:
        barrier.wait()
        while value(session, "select clock_timestamp() < $1", end):
            answer = row(session, "select * from spied($1, $2)", starts, per)
            if answer["granted"]:
                granted.append((answer["at"], answer["granted"]))

    threads = [Thread(target=ask, args=[session]) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(sum(many for at, many in granted if last - per < at <= last) for last, _ in granted)


@pytest.mark.parametrize(("starts", "per_ms"), [(1, 10), (3, 20), (100, 100)])
def test_no_window_has_too_many_when_sessions_race(
    db: Database, queue: str, connect: Callable[[], Database], starts: int, per_ms: int
) -> None:
    assert 0 < raced(db, connect, starts, timedelta(milliseconds=per_ms)) <= starts


ASK = "select granted from postmill._grant_starts('re-size', 'acme', $1, 3, '1 h')"
RECENT = "select recent from postmill.groups"
WITHOUT_LOCK = Change("_grant_starts", " for update;", ";")
CLOCK_BEFORE_LOCK = Change(
    "_grant_starts",
    r"(?s)(begin\n)(.*?)    moment := clock_timestamp\(\);\n",
    r"\1    moment := clock_timestamp();\n\2",
)


def asked_at_once(db: Database, connect: Callable[[], Database], *mistakes: Change) -> tuple[int, bool]:
    """Two sessions ask for all three starts; the second one stands at a lock until the first has its answer
    and commits. What both were granted, and whether the starts of the first kept their moments.
    """
    for mistake in mistakes:
        db.execute(mistake.apply(dict(scripts("functions"))[mistake.name]).encode())
    value(db, ASK, 0)
    first, second = connect(), connect()
    with ThreadPoolExecutor(1) as pool:
        with first.transaction():
            first.execute(b"select from postmill.groups for update")
            asking = pool.submit(value, second, ASK, 3)
            wait_for_lock(db, second)
            granted = value(first, ASK, 3)
            recent = value(first, RECENT)
        granted += asking.result()
    return granted, value(db, RECENT) == recent


def test_who_asks_while_another_is_granted_starts_counts_those(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    assert asked_at_once(db, connect) == (3, True)


@pytest.mark.parametrize(
    ("mistake", "granted"),
    [(WITHOUT_LOCK, 6), (CLOCK_BEFORE_LOCK, 3)],
    ids=["without the lock", "with the clock read before the lock"],
)
def test_mistakes_at_the_lock_exceed_a_limit(
    db: Database, queue: str, connect: Callable[[], Database], mistake: Change, granted: int
) -> None:
    """The controls. Read before the lock, the clock is behind the starts of the first, which are then taken
    for older ones and free their places too soon.
    """
    assert asked_at_once(db, connect, mistake) == (granted, False)
