"""Other clients meddle with a queue that has groups and limits: no group runs more than it may, and each
message comes to one end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.gate_race import drain, race_on, rescue, work
from tests.faults.meddlers import mover, odd_sender, purger, reader, taker
from tests.sql.asking import column, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.protocol import Database

RACE_S = 2.0
WORKERS = 5
limits = pytest.mark.parametrize(
    "most", [{"each": 2}, {"*": 4, "each": 2}], ids=["each group", "queue and groups"]
)


def ends(db: Database, queue: str) -> list[int]:
    """Where messages are that have come to an end which is written down."""
    archived = column(db, f"select msg_id from pgmq.a_{queue}")
    dead = column(db, "select msg_id from postmill.dead_letters")
    return (
        archived
        + dead
        + column(db, "select msg_id from postmill.cancellations where cancelled_at is not null")
    )


@limits
def test_odd_headers_and_clients_that_take_messages_away(
    db: Database, connect: Callable[[], Database], most: dict[str, int]
) -> None:
    race = race_on(db, connect, most)
    race.run(RACE_S, *[work] * WORKERS, rescue, odd_sender, odd_sender, reader, taker, mover)
    assert race.judge.exceeded == 0
    assert race.judge.begun > 5
    drain(race)
    assert sorted(ends(db, race.protocol.queue) + race.deleted) == sorted(race.sent)


@limits
def test_a_queue_that_is_emptied_again_and_again(
    db: Database, connect: Callable[[], Database], most: dict[str, int]
) -> None:
    """What was waiting leaves gates behind, and what runs is gone when it ends."""
    race = race_on(db, connect, most)
    race.run(RACE_S, *[work] * WORKERS, rescue, odd_sender, mover, purger)
    assert race.judge.exceeded == 0
    assert race.judge.begun > 5
    drain(race)
    found = ends(db, race.protocol.queue)
    assert len(found) == len(set(found))
    assert set(found) <= set(race.sent)
    assert value(db, "select count(*) from postmill.gates") == 0
