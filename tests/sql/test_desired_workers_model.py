"""How many workers a queue wants, beside the formula in plain Python: any numbers, also those of no sense."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import psycopg
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.properties import FIRST_FAILURE
from tests.sql.asking import claim, value
from tests.sql.test_desired_workers import DESIRED, SEND, TOOK
from tests.sql.waiting import put

if TYPE_CHECKING:
    from tests.sql.asking import Database

LARGEST = 2**31 - 1
NUMBERS = st.none() | st.integers(-2, 20) | st.integers(-LARGEST, LARGEST)


@dataclass(frozen=True)
class Held:
    """What the queue has, and how long its attempts took."""

    ready: int = 0
    running: int = 0
    ended: int = 0
    ran_ms: int = 0
    is_paused: bool = False
    due_in_s: int | None = None

    @property
    def mean_s(self) -> float:
        """A second where nothing has ended."""
        return self.ran_ms / self.ended / 1000 if self.ended else 1.0

    def into(self, db: Database, queue: str) -> None:
        """Make it so."""
        db.execute(b'truncate pgmq."q_re-size" restart identity')
        db.execute(b"truncate postmill.claims, postmill.minutes")
        db.execute(TOOK, [self.ended, self.ran_ms])
        db.execute(SEND, [self.ready + self.running])
        claim(db, queue, *range(1, self.running + 1))
        if self.due_in_s is not None:
            put(db, queue, f"clock_timestamp() + interval '{self.due_in_s} seconds'")
        db.execute(f"select postmill.{'pause' if self.is_paused else 'resume'}('re-size')".encode())


@dataclass(frozen=True)
class Asked:
    """What the autoscaler says of its workers."""

    slots: int | None = 10
    wait_s: float | None = 10.0
    least: int | None = 0
    most: int | None = 100


HELD = st.builds(
    Held,
    ready=st.integers(0, 150),
    running=st.integers(0, 60),
    ended=st.integers(0, 50),
    ran_ms=st.integers(0, 10**9),
    is_paused=st.booleans(),
    due_in_s=st.sampled_from([None, 30, 3600]),
)
ASKED = st.builds(
    Asked, NUMBERS, st.none() | st.floats() | st.floats(0.01, 100), NUMBERS, NUMBERS
) | st.builds(
    Asked,
    st.integers(1, 20),
    st.floats(min_value=0, exclude_min=True),
    st.integers(0, 5),
    st.integers(5, 500),
)


def wanted(held: Held, asked: Asked) -> int | None:
    """The number by the documentation; None: refused."""
    slots, wait_s, least, most = asked.slots, asked.wait_s, asked.least, asked.most
    if slots is None or wait_s is None or least is None or most is None:
        return None
    if slots < 1 or not wait_s > 0 or not 0 <= least <= most:
        return None
    for_ready = 0.0 if held.is_paused else held.ready * held.mean_s / wait_s / slots
    for_running = held.running / slots / 0.8
    number = ceil(min(max(for_ready, for_running), most))
    if number < 1 and (held.ready or held.due_in_s == 30):
        number = 1
    return max(least, min(most, number))


def answer(db: Database, asked: Asked) -> int | None:
    """The number by the database; None: refused."""
    try:
        number: int = value(db, DESIRED, asked.slots, asked.wait_s, asked.least, asked.most)
    except psycopg.Error as error:
        if error.sqlstate != "PM003":
            raise
        return None
    return number


@settings(FIRST_FAILURE, max_examples=80)
@given(held=HELD, asked=ASKED)
@example(Held(ready=100), Asked(wait_s=float("nan")))
@example(Held(ready=100), Asked(wait_s=float("inf")))
@example(Held(ready=100), Asked(wait_s=5e-324))
@example(Held(ready=1, ended=50, ran_ms=1), Asked(slots=LARGEST, wait_s=1.7e308))
@example(Held(ready=100), Asked(least=LARGEST, most=LARGEST))
def test_the_database_says_what_the_formula_says(db: Database, queue: str, held: Held, asked: Asked) -> None:
    held.into(db, queue)
    assert answer(db, asked) == wanted(held, asked)
