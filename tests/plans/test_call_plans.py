"""The hot statements of calls use their indexes, whatever the statistics say."""

from __future__ import annotations

import pytest

from postmill.sql.catalog import statement
from tests.plans.explaining import Database, explained

WAITING = """
insert into postmill.calls (method, url, timeout_ms)
select 'GET', 'https://slow/', 1 from generate_series(1, 5000);
insert into postmill.calls (method, url, timeout_ms, started_at, lost_at, attempts)
select 'GET', 'https://running/', 1, clock_timestamp(), clock_timestamp() + interval '1 hour', 1
from generate_series(1, 5000);
insert into postmill.call_responses (call_id, method, url, attempts, created_by)
select n, 'GET', '', 1, current_user from generate_series(100001, 105000) n
"""
HELD_BACK = """
insert into postmill.calls (method, url, timeout_ms, due_at, waits_for)
select 'GET', 'https://held-back/', 1, clock_timestamp() - interval '1 minute', call_id
from postmill.calls where attempts = 1 limit 20
"""
pins = pytest.mark.parametrize("pins", ["session", "local"])


@pytest.fixture
def full(db: Database) -> Database:
    """Ten thousand calls and five thousand responses; autovacuum has not been there."""
    db.execute(b"alter table postmill.calls set (autovacuum_enabled = off)")
    db.execute(WAITING.encode())
    return db


@pins
def test_a_claim_reads_as_many_rows_as_it_takes(full: Database, pins: str) -> None:
    plan = explained(full, statement("calls_claim"), [0, 100, [], [], 100, True], pins=pins)
    assert "calls_waiting" in plan.indexes("calls")
    assert plan.read_whole() == set()
    assert plan.rows_read("calls") <= 3 * 100, "found, joined, updated"


@pins
def test_calls_that_wait_for_others_cost_a_look_each(full: Database, pins: str) -> None:
    full.execute(HELD_BACK.encode())
    plan = explained(full, statement("calls_claim"), [0, 100, [], [], 100, True], pins=pins)
    assert plan.read_whole() == set()
    assert plan.rows_read("calls") <= 3 * 100 + 2 * 20


@pins
def test_calls_that_wait_for_their_time_are_not_read(full: Database, pins: str) -> None:
    """Each look read all that wait for their next attempt: 14 ms for 100,000."""
    full.execute(b"update postmill.calls set due_at = due_at + interval '1 hour' where started_at is null")
    full.execute(b"select postmill.call('https://due/')")
    plan = explained(full, statement("calls_claim"), [0, 100, [], [], 100, True], pins=pins)
    assert plan.rows_read("calls") <= 3


@pins
def test_the_backlog_of_a_full_host_is_not_read(full: Database, pins: str) -> None:
    """Each look read all of it: 16 ms for 100,000."""
    full.execute(
        b"select postmill.call('https://' || n || '/') from generate_series(1, 50) n, generate_series(1, 10)"
    )
    walk = explained(full, statement("calls_hosts"), ["", 500, True], pins=pins)
    assert walk.indexes("calls") == {"calls_by_host"}
    assert walk.read_whole() == set()
    assert walk.rows_read("calls") <= 52, "one a host; servers before 18 round up"
    hosts = [f"https://{n}" for n in range(1, 51)]
    claim = explained(full, statement("calls_claim_at_hosts"), [0, 100, hosts, [5] * 50], pins=pins)
    assert "calls_by_host" in claim.indexes("calls")
    assert claim.read_whole() == set()
    assert claim.rows_read("calls") <= 3 * 100, "found, joined, updated"


@pins
def test_an_answer_reads_its_own_rows(full: Database, pins: str) -> None:
    ids = [
        row["call_id"]
        for row in full.execute(b"select call_id from postmill.calls where attempts = 1 limit 50")
    ]
    columns = [
        ids,
        [1] * 50,
        [200] * 50,
        *([[None] * 50] * 3),
        [False] * 50,
        [None] * 50,
        [False] * 50,
        [None] * 50,
    ]
    plan = explained(full, statement("calls_answer"), columns, pins=pins)
    assert plan.read_whole() == set()
    assert plan.rows_read("calls") <= 4 * 50


def test_the_next_call_is_one_row(full: Database) -> None:
    plan = explained(full, statement("calls_next"), [True], pins="local")
    assert plan.indexes("calls") == {"calls_waiting", "calls_started"}
    assert plan.indexes("call_responses") == {"call_responses_created"}
    assert (plan.rows_read("calls"), plan.rows_read("call_responses")) == (1, 0)
