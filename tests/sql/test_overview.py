"""Queues out of many: which are the busiest, and what some of them hold."""

from __future__ import annotations

from postmill.db.reads import overview
from tests.sql.asking import Database, claim, value


def make(db: Database, name: str, messages: int) -> None:
    db.execute(b"select postmill.create_queue($1)", [name])
    db.execute(
        b"select postmill.send_batch($1, array_fill('1'::jsonb, array[$2::integer]))", [name, messages]
    )


def test_the_busiest_queues_come_first(db: Database) -> None:
    """By open claims, then by their messages; a queue without a table is none."""
    for name, messages in (("idle", 1), ("large", 2000), ("busy", 3), ("gone", 1)):
        make(db, name, messages)
    claim(db, "busy", 1)
    db.execute(b"drop table pgmq.q_gone")
    db.execute(b"select pg_stat_force_next_flush()")
    found = overview.busiest(db, limit=10)
    assert [(each["queue"], each["claims"]) for each in found] == [("busy", 1), ("large", 0), ("idle", 0)]
    assert [each["queue"] for each in overview.busiest(db, limit=1, after=1)] == ["large"]


def test_some_queues_in_the_order_asked_for(db: Database) -> None:
    for name, messages in (("a", 1), ("b", 2), ("c", 3)):
        make(db, name, messages)
    found = overview.some(db, ["c", "no such queue", "a"])
    assert [(each["queue"], each["ready"], each["exact"]) for each in found] == [
        ("c", 3, True),
        ("a", 1, True),
    ]
    assert list(found[0]) == list(overview.queues(db, "c")[0])


def test_a_page_of_queues_looks_into_those_only(db: Database) -> None:
    """With 10,000 queues the list of all takes seconds."""
    for number in range(30):
        make(db, f"q{number}", 1)
    blocks = "select sum(pg_stat_get_xact_blocks_fetched(oid)) from pg_class where relname like 'q\\_q%'"
    with db.transaction():
        before = value(db, blocks)
        overview.some(db, [each["queue"] for each in overview.busiest(db, limit=3)])
        assert 0 < value(db, blocks) - before <= 3 * 4
