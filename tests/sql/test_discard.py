from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.sql.asking import Database, bury, column, refused, value

if TYPE_CHECKING:
    from collections.abc import Callable

LEFT = "select msg_id from postmill.dead order by msg_id"


def test_all_that_wait_and_only_this_queues(db: Database, queue: str) -> None:
    db.execute(b"select postmill.create_queue('other')")
    bury(db, "other", 3)
    replayed = bury(db, queue, 11)
    db.execute(b"select postmill.replay('re-size', array[$1::bigint])", [replayed])
    for msg_id in (12, 13):
        bury(db, queue, msg_id)
    assert value(db, "select postmill.discard('re-size')") == 2
    assert column(db, LEFT) == [3, 11]


def test_those_that_are_named_or_old(db: Database, queue: str) -> None:
    letters = [bury(db, queue, msg_id) for msg_id in range(1, 6)]
    for days, letter in enumerate(letters):
        db.execute(
            b"update postmill.dead_letters set died_at = died_at - make_interval(days => $1) "
            b"where letter_id = $2",
            (days, letter),
        )
    assert value(db, "select postmill.discard('re-size', array[$1::bigint, 999])", letters[0]) == 1
    assert value(db, "select postmill.discard('re-size', older_than => '60 hours')") == 2
    assert column(db, LEFT) == [2, 3]


def test_a_letter_that_is_being_replayed_is_left_alone(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    bury(db, queue, 11)
    replaying, discarding = connect(), connect()
    with ThreadPoolExecutor(1) as pool, replaying.transaction():
        replaying.execute(b"select postmill.replay('re-size')")
        assert pool.submit(value, discarding, "select postmill.discard('re-size')").result() == 0
    assert value(db, "select replayed_as is not null from postmill.dead")


@pytest.mark.parametrize("interval", ["-1 s", "infinity"])
def test_refuses_what_is_no_length_of_time(db: Database, queue: str, interval: str) -> None:
    if interval == "infinity" and db.info.server_version < 170_000:
        interval = "-1 day"  # no interval is infinite there
    with refused("PM003", "no length of time"):
        db.execute(b"select postmill.discard('re-size', older_than => $1::text::interval)", [interval])


def test_refuses_a_queue_that_is_not_there(db: Database) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(b"select postmill.discard('nope')")
