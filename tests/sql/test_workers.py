"""deprecate_worker, and the views active_workers and inactive_workers with their twins in edge_worker."""

from __future__ import annotations

import pytest

from tests.sql.asking import Database, column, refused, row, rows, value


@pytest.fixture
def workers(db: Database) -> None:
    """One that beats, one that fell silent, one that stopped: pids 1, 2 and 3."""
    db.execute(
        b"insert into postmill.workers "
        b"(queue_name, function_name, hostname, pid, version, max_concurrent, last_heartbeat_at, stopped_at) "
        b"values ('q', 'f', 'h', 1, '0', 1, clock_timestamp(), null), "
        b"('q', 'f', 'h', 2, '0', 1, clock_timestamp() - interval '7 seconds', null), "
        b"('q', 'f', 'h', 3, '0', 1, clock_timestamp(), clock_timestamp())"
    )


def test_a_worker_is_active_while_its_heart_beats(db: Database, workers: None) -> None:
    assert column(db, "select pid from postmill.active_workers") == [1]
    assert column(db, "select pid from postmill.inactive_workers order by pid") == [2, 3]


def test_edge_worker_shows_the_same(db: Database, workers: None) -> None:
    counts = [
        value(db, f"select count(*) from edge_worker.{view}")
        for view in ("workers", "active_workers", "inactive_workers")
    ]
    assert counts == [3, 1, 2]


def test_what_edge_workers_page_queries_is_there(db: Database, workers: None) -> None:
    """Its views have six columns. Its own query knows no stop: it also finds a worker that has just ended."""
    columns = "worker_id, queue_name, function_name, started_at, stopped_at, last_heartbeat_at"
    found = row(db, f"select {columns} from edge_worker.active_workers")
    assert (found["queue_name"], found["function_name"], found["stopped_at"]) == ("q", "f", None)
    assert len(rows(db, f"select {columns} from edge_worker.inactive_workers")) == 2
    lately = "last_heartbeat_at > now() - make_interval(secs => 6)"
    assert value(db, f"select count(*) from edge_worker.workers where {lately}") == 2


def test_deprecate_asks_a_worker_to_stop(db: Database, workers: None) -> None:
    worker_id = value(db, "select worker_id from postmill.active_workers")
    db.execute(b"select postmill.deprecate_worker($1)", [worker_id])
    first = value(db, "select deprecated_at from postmill.active_workers")
    db.execute(b"select postmill.deprecate_worker($1)", [worker_id])
    assert value(db, "select deprecated_at from postmill.active_workers") == first


def test_deprecate_refuses_one_that_stopped_or_never_was(db: Database, workers: None) -> None:
    stopped = value(db, "select worker_id from postmill.workers where pid = 3")
    for worker_id in (stopped, "00000000-0000-0000-0000-000000000000"):
        with refused("PM006", "no worker"):
            db.execute(b"select postmill.deprecate_worker($1::text::uuid)", [str(worker_id)])
