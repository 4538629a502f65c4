"""The view limits: which limits there are, and how they stand."""

from __future__ import annotations

from datetime import timedelta

from tests.sql.asking import Database, column, row, rows, value

MINUTE = timedelta(minutes=1)
LIMITS = "select group_key, max_running, starts, per from postmill.limits where queue_name = 're-size'"
DEPTHS = "select running, waiting from postmill.limits where queue_name = 're-size' and group_key = $1"


def gate(db: Database, key: str, *claim_ids: int | None) -> None:
    """Messages of a group: one that names a claim is running."""
    for claim_id in claim_ids:
        msg_id = value(db, "select coalesce(max(msg_id), 0) + 1 from postmill.gates")
        db.execute(
            b"insert into postmill.gates values ('re-size', $1, clock_timestamp(), $2, $3)",
            [key, msg_id, claim_id],
        )


def test_a_queue_without_limits_has_no_row(db: Database, queue: str) -> None:
    assert rows(db, LIMITS) == []


def test_it_has_a_row_for_the_queue_one_for_its_groups_and_one_for_each_group_that_waits(
    db: Database, queue: str
) -> None:
    db.execute(b"select postmill.limit_queue('re-size', starts => 9, per => '1 minute')")
    db.execute(b"select postmill.limit_groups('re-size', 2, starts => 3, per => '1 minute')")
    db.execute(b"select postmill.limit_groups('re-size', 5, group_key => 'own')")
    gate(db, "waiting", None)
    gate(db, "running", 1)
    assert rows(db, LIMITS + " order by group_key nulls first") == [
        {"group_key": None, "max_running": 2, "starts": 3, "per": MINUTE},
        {"group_key": "", "max_running": None, "starts": 9, "per": MINUTE},
        {"group_key": "own", "max_running": 5, "starts": 3, "per": MINUTE},
        {"group_key": "waiting", "max_running": 2, "starts": 3, "per": MINUTE},
    ]


def test_it_counts_what_runs_and_what_waits(db: Database, queue: str) -> None:
    """Messages without a group of a limited queue count for the queue."""
    db.execute(b"select postmill.limit_queue('re-size', 10)")
    gate(db, "acme", None, None, 1)
    gate(db, "", 1, 1, None)
    assert row(db, DEPTHS, "acme") == {"running": 1, "waiting": 2}
    assert row(db, DEPTHS, "") == {"running": 3, "waiting": 3}


def test_it_says_when_the_next_start_is_allowed(db: Database, queue: str) -> None:
    db.execute(b"select postmill.limit_groups('re-size', starts => 2, per => '1 hour', group_key => 'acme')")
    next_start = "select next_start_at from postmill.limits where group_key = 'acme'"
    assert value(db, next_start) is None
    ask = "select again_at from postmill._grant_starts('re-size', 'acme', $1, 2, '1 hour')"
    assert value(db, f"select (({ask}) <= clock_timestamp())", 1)
    assert value(db, next_start) is None
    assert value(db, ask, 1) == value(db, next_start)


def test_it_is_bounded(db: Database, queue: str) -> None:
    """A row for each of a million groups took minutes."""
    db.execute(
        b"insert into postmill.gates select 're-size', 'g' || n, clock_timestamp(), n"
        b" from generate_series(1, 3000) as n"
    )
    assert len(column(db, LIMITS)) == 1000
