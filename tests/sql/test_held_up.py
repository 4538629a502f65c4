"""What top and doctor ask about groups and dependents."""

from __future__ import annotations

import pytest

from postmill.sql.catalog import statement
from tests.sql.asking import Database, row, rows, value
from tests.sql.test_waits_for import BLOCKS, many_gates
from tests.sql.waiting import block, hold, live, park, wait_for

__all__ = ["many_gates"]


def asked(db: Database, name: str, *arguments: object) -> list[tuple[object, ...]]:
    """The rows of a statement of the tools."""
    return [tuple(found.values()) for found in db.execute(statement(name), list(arguments)).fetchall()]


def test_groups_at_their_limit_and_what_holds_them_up(db: Database, queue: str) -> None:
    db.execute(b"select postmill.limit_groups('re-size', max_running => 1)")
    hold(db, queue, "full")
    for key in ("full", "free", ""):
        park(db, queue, key)
    hold(db, queue, "nobody waits")
    assert asked(db, "read_held_up", 20) == [
        ("re-size", "full", "group full is at its limit of 1, held by 1"),
    ]
    db.execute(b"select postmill.limit_queue('re-size', max_running => 2)")
    assert asked(db, "read_held_up", 1) == [
        ("re-size", "", "queue re-size is at its limit of 2, held by 1, 5")
    ]


def test_no_queue_waits_for_anything(db: Database, queue: str, foreign: str) -> None:
    assert asked(db, "read_held_up", 20) == []
    assert asked(db, "check_gates") == []
    assert asked(db, "check_dependents", 60) == []


def test_places_of_claims_that_are_gone(db: Database, queue: str) -> None:
    hold(db, queue)
    assert asked(db, "check_gates") == []
    db.execute(b"delete from postmill.claims")
    assert asked(db, "check_gates") == [("re-size", 1)]


def test_dependents_of_dead_and_of_vanished_messages(db: Database, queue: str) -> None:
    there = park(db, queue)
    waits = block(db, queue, (queue, there))
    dead = block(db, queue, ("mail", 4), on_dead="block", died=True)
    gone = block(db, queue, ("mail", 5), (queue, 999))
    wait_for(db, queue, gone, (queue, waits))
    assert asked(db, "check_dependents", 60) == [], "they have just begun to wait"
    db.execute(b"update postmill.blocked set due_at = now() - interval '2 min'")
    assert asked(db, "check_dependents", 60) == [
        ("re-size", "dead", 1, dead, "mail", 4),
        ("re-size", "gone", 2, gone, "mail", 5),
    ]


@pytest.mark.parametrize("name", ["read_held_up", "check_gates", "check_dependents", "check_limits"])
def test_each_question_reads_a_bounded_number_of_rows(db: Database, many_gates: str, name: str) -> None:
    db.execute(b"select postmill.limit_groups('re-size', max_running => 1)")
    db.execute(
        b"insert into postmill.blocked select 're-size', n, 1, now() from generate_series(1, 50000) as n"
    )
    db.execute(b"set session_replication_role = replica")
    db.execute(
        b"insert into postmill.edges select 're-size', 1, 're-size', n, 'block', true"
        b" from generate_series(1, 50000) as n"
    )
    db.execute(b"update postmill.gates set claim_id = 1 where msg_id between 40000 and 60000")
    arguments: dict[str, list[object]] = {"read_held_up": [20], "check_dependents": [-1.0]}
    with db.transaction():
        before = value(db, BLOCKS)
        asked(db, name, *arguments.get(name, []))
        assert value(db, BLOCKS) - before < 10_000


def test_versions_of_workers_where_limits_are(db: Database, queue: str) -> None:
    live(db, queue, version="0.1.0")
    live(db, queue, version="0.2.0")
    assert asked(db, "check_limits") == []
    db.execute(b"select postmill.limit_groups('re-size', max_running => 1)")
    assert asked(db, "check_limits") == [("re-size", ["0.1.0", "0.2.0"])]
    assert row(db, "select count(*) from postmill.queues where gated") == {"count": 0}
    assert rows(db, "select * from postmill.gates") == []
