"""Rate limits of groups and queues under races, through whole claims: no window has too many starts, and each
start that is counted is one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from postmill.model.queue.outcome import RELEASED
from tests.faults.gate_race import GROUPS, QUEUE, STARTS, Race, race_on, rescue, work
from tests.sql.asking import column, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.protocol import Database

RACE_S = 2.0
WORKERS = 8
PER = timedelta(milliseconds=200)
OF_A_GROUP, OF_THE_QUEUE = 3, 10
SEND = (
    "select postmill.send_batch($1, array_fill('1'::jsonb, array[cardinality($2::text[])]), group_keys => $2)"
)


def rates_on(db: Database, connect: Callable[[], Database], *, queue: bool) -> Race:
    """A queue whose groups, and with ``queue`` itself, have rates; every start is written down."""
    race = race_on(db, connect, {})
    db.execute(STARTS.encode())
    db.execute(b"select postmill.limit_groups($1, starts => $2, per => $3)", [QUEUE, OF_A_GROUP, PER])
    if queue:
        race.limited = True
        db.execute(b"select postmill.limit_queue($1, starts => $2, per => $3)", [QUEUE, OF_THE_QUEUE, PER])
    race.ends = (RELEASED,)
    race.wanted = (1, 2, 20)  # a claim of twenty takes all that a window has left
    column(db, SEND, QUEUE, list(GROUPS) * 20)
    return race


def most_in_a_window(db: Database, key: str) -> int:
    """The largest number of starts of a group in any window."""
    starts = [
        (row["at"], row["many"]) for row in rows(db, "select at, many from starts where group_key = $1", key)
    ]
    return max((sum(many for at, many in starts if last - PER < at <= last) for last, _ in starts), default=0)


@pytest.mark.parametrize("queue", [False, True], ids=["groups", "queue and groups"])
def test_no_window_has_too_many_and_no_start_is_lost(
    db: Database, connect: Callable[[], Database], queue: bool
) -> None:
    """Elsewhere a start that was counted and then not used halved the throughput."""
    race = rates_on(db, connect, queue=queue)
    race.run(RACE_S, *[work] * WORKERS, rescue)
    most = {key: most_in_a_window(db, key) for key in GROUPS}
    assert max(most.values()) == OF_A_GROUP
    counted = "select coalesce(sum(many), 0) from starts where (group_key = '') = $1"
    assert value(db, counted, False) == race.judge.begun
    if queue:
        assert most_in_a_window(db, "") == OF_THE_QUEUE
        assert value(db, counted, True) == race.judge.begun
