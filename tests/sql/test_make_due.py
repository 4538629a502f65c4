"""What a test's drain makes due: moments to come, and nothing else that a message waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement

if TYPE_CHECKING:
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

SHAPE = QueueShape("jobs", 0)


@pytest.fixture(autouse=True)
def queue(db: Db) -> None:
    db.execute("select postmill.create_queue('jobs')")


def make_due(db: Db) -> int:
    row = db.execute(queue_statement("testing_make_due", SHAPE), ["jobs"]).fetchone()
    assert row is not None
    return int(row["due"])


def test_a_delayed_message_is_made_due(db: Db) -> None:
    db.execute("select postmill.send('jobs', '1', delay => interval '1 hour')")
    assert make_due(db) == 1
    assert db.execute("select vt <= clock_timestamp() as due from pgmq.q_jobs").fetchall() == [{"due": True}]


def test_a_message_that_waits_for_its_group_stays_parked(db: Db) -> None:
    """Its vt was set to now: the worker found it outside its lane, and parked it again, round after round."""
    db.execute("select postmill.send('jobs', '1', group_key => 'acme', delay => interval '1 hour')")
    assert make_due(db) == 1, "it waits for no moment any more"
    assert db.execute(
        "select vt = postmill._parked_until() as parked, rank <= clock_timestamp() as may_start"
        " from pgmq.q_jobs join postmill.gates using (msg_id)"
    ).fetchall() == [{"parked": True, "may_start": True}]
    assert make_due(db) == 0


def test_a_message_that_waits_for_another_stays_parked(db: Db) -> None:
    """A drain made it due, and it ran before the message that it waits for."""
    db.execute(
        "insert into pgmq.q_jobs (vt, message, headers)"
        """ values (postmill._parked_until(), '1', '{"postmill-after": true}')"""
    )
    db.execute(
        "insert into postmill.blocked (queue_name, msg_id, waits, due_at)"
        " select 'jobs', msg_id, 1, clock_timestamp() + interval '1 hour' from pgmq.q_jobs"
    )
    assert make_due(db) == 1
    assert db.execute(
        "select vt = postmill._parked_until() as parked, due_at <= clock_timestamp() as due"
        " from pgmq.q_jobs join postmill.blocked using (msg_id)"
    ).fetchall() == [{"parked": True, "due": True}]
