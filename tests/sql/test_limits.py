"""limit_queue and limit_groups: what they write down and what they refuse. How limits hold: tests/faults."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.sql.asking import Database, heard, refused, row, rows

if TYPE_CHECKING:
    from collections.abc import Callable

OF_THE_QUEUE = "select max_running, starts, per from postmill.queues"
OF_EACH_GROUP = (
    "select group_max_running as max_running, group_starts as starts, group_per as per from postmill.queues"
)
OF_ACME = "select max_running, starts, per from postmill.groups where group_key = 'acme'"
NONE = {"max_running": None, "starts": None, "per": None}
MINUTE = timedelta(minutes=1)

each_way = pytest.mark.parametrize(
    ("call", "written"),
    [
        ("limit_queue('re-size'{})", OF_THE_QUEUE),
        ("limit_groups('re-size'{})", OF_EACH_GROUP),
        ("limit_groups('re-size', group_key => 'acme'{})", OF_ACME),
    ],
    ids=["queue", "groups", "group"],
)


@each_way
def test_each_call_says_all_of_the_limits(db: Database, queue: str, call: str, written: str) -> None:
    def limit(arguments: str) -> None:
        db.execute(f"select postmill.{call.format(arguments)}".encode())

    limit(", max_running => 3, starts => 10, per => '1 minute'")
    assert row(db, written) == {"max_running": 3, "starts": 10, "per": MINUTE}
    limit(", max_running => 5")
    assert row(db, written) == NONE | {"max_running": 5}
    limit(", starts => 2, per => '100 days'")
    assert row(db, written) == {"max_running": None, "starts": 2, "per": timedelta(days=100)}
    limit("")
    assert row(db, written) == NONE


@each_way
def test_the_workers_are_told(
    db: Database, queue: str, connect: Callable[[], Database], call: str, written: str
) -> None:
    listening = connect()
    listening.execute(b'listen "postmill.re-size"')
    db.execute(f"select postmill.{call.format(', max_running => 3')}".encode())
    assert heard(listening, queue) == ["limit"]


@each_way
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("max_running => 0", "max_running must be at least 1, not 0"),
        ("max_running => -1", "max_running must be at least 1, not -1"),
        ("starts => 0, per => '1 s'", "starts must be at least 1, not 0"),
        ("starts => 1", "needs both starts and per"),
        ("per => '1 s'", "needs both starts and per"),
        ("starts => 1, per => '0'", "per must be a length of time, not 00:00:00"),
        ("starts => 1, per => '-1 s'", "per must be a length of time"),
        ("starts => 1, per => '1 month -30 days'", "per must be a length of time"),
        ("starts => 1, per => '101 days'", "at most 100 days, not 101 days"),
        ("starts => 1, per => make_interval(secs => 101 * 86400)", "at most 100 days, not 101 days"),
        ("starts => 1, per => '100 days 00:00:00.000001'", "at most 100 days"),
    ],
)
def test_a_limit_that_cant_be_kept_is_refused(
    db: Database, queue: str, call: str, written: str, arguments: str, says: str
) -> None:
    with refused("PM003", says):
        db.execute(f"select postmill.{call.format(', ' + arguments)}".encode())
    assert rows(db, "select from postmill.queues where max_running is not null or starts is not null") == []


def test_an_endless_time_is_refused(db: Database, queue: str) -> None:
    if db.info.server_version < 170000:
        pytest.skip("intervals have no infinity before PostgreSQL 17")
    with refused("PM003", "at most 100 days, not infinity"):
        db.execute(b"select postmill.limit_queue('re-size', starts => 1, per => 'infinity')")


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_key_that_no_message_can_have_is_refused(db: Database, queue: str, key: str) -> None:
    with refused("PM003", "1 to 200 characters"):
        db.execute(b"select postmill.limit_groups('re-size', 3, group_key => $1)", [key])


@pytest.mark.parametrize("function", ["limit_queue", "limit_groups"])
def test_a_queue_that_is_not_there_is_refused(db: Database, function: str) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(f"select postmill.{function}('nope', 3)".encode())


def test_a_queue_of_another_client_can_be_limited_for_our_workers(db: Database, foreign: str) -> None:
    db.execute(b"select postmill.limit_queue('theirs', 2)")
    assert row(db, "select owned, max_running from postmill.queues") == {"owned": False, "max_running": 2}


def test_a_name_with_capitals_is_that_of_the_same_tables(db: Database) -> None:
    """pgmq takes any case and makes tables in lower case; what waits is written down under their name."""
    db.execute(b"select pgmq.create('Theirs')")
    db.execute(b"select postmill.limit_groups('Theirs', 2, group_key => 'acme')")
    assert row(db, "select queue_name, group_key, max_running from postmill.limits") == {
        "queue_name": "Theirs",
        "group_key": "acme",
        "max_running": 2,
    }


def test_a_group_keeps_its_last_starts_while_its_limit_changes(db: Database, queue: str) -> None:
    """With the row written anew, a change of the limit gave a second helping."""
    ask = "select granted from postmill._grant_starts('re-size', 'acme', 5, 3, '1 h')"
    assert row(db, ask) == {"granted": 3}
    db.execute(b"select postmill.limit_groups('re-size', starts => 3, per => '1 h', group_key => 'acme')")
    assert row(db, ask) == {"granted": 0}


@each_way
def test_a_pgmq_without_headers_is_refused(db: Database, queue: str, call: str, written: str) -> None:
    db.execute(
        b"create or replace function postmill._has_headers() returns boolean language sql return false"
    )
    with refused("PM004", "no headers"):
        db.execute(f"select postmill.{call.format(', max_running => 2')}".encode())


def test_a_queue_that_is_created_again_has_no_limits(db: Database, queue: str) -> None:
    db.execute(b"select postmill.limit_queue('re-size', 2)")
    db.execute(b"select postmill.limit_groups('re-size', 2, group_key => 'acme')")
    db.execute(b"select postmill.drop_queue('re-size')")
    db.execute(b"select postmill.create_queue('re-size')")
    assert row(db, OF_THE_QUEUE) == NONE
    assert rows(db, OF_ACME) == []
