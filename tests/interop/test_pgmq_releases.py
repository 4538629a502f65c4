"""Our functions on the shapes of older pgmq releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postmill.db.tools import pgmq
from postmill.db.tools.facades import named
from postmill.db.tools.migrate import check_version, migrate
from postmill.model.errors import QueueNotFound
from tests.interop.pgmq_shapes import RELEASES, Release
from tests.sql.asking import Database, bury, claim, column, refused, row, value

if TYPE_CHECKING:
    from postmill.model.queue.queue_name import QueueShape


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
def release(request: pytest.FixtureRequest, empty: Database) -> Release:
    """An installed older release, with our schema on it and a queue of ours, ``jobs``."""
    release: Release = request.param
    empty.execute(release.sql.encode())
    assert "pgmq" not in migrate(empty).steps
    check_version(empty)
    empty.execute(b"select postmill.create_queue('jobs')")
    return release


def test_the_shape_is_read_from_the_catalogue(empty: Database, release: Release) -> None:
    shape: QueueShape = pgmq.shape(empty, "jobs")
    assert (shape.has_headers, shape.has_last_read_at, shape.is_partitioned) == (
        release.has_headers,
        "last_read_at timestamptz" in release.columns,
        False,
    )
    assert shape.relation == value(empty, "select 'pgmq.q_jobs'::regclass::oid::bigint")


def test_sending_and_delays_are_never_early(empty: Database, release: Release) -> None:
    assert value(empty, "select postmill.send('jobs', '{\"n\": 1}')") == 1
    empty.execute(b"select postmill.send('jobs', '1', delay => '1500 ms')")
    assert value(empty, "select vt - enqueued_at >= '1.5 s' from pgmq.q_jobs where msg_id = 2")
    assert column(empty, "select postmill.send_batch('jobs', array['1', '2']::jsonb[])") == [3, 4]
    assert value(empty, "select state from postmill.messages('jobs', only_id => 1)") == "ready"


def test_headers_or_a_clear_word(empty: Database, release: Release) -> None:
    send = b"select postmill.send('jobs', '1', headers => '{}')"
    batch = b"select postmill.send_batch('jobs', array['1']::jsonb[], headers => array['{}']::jsonb[])"
    if release.has_headers:
        empty.execute(send)
        empty.execute(batch)
        assert column(empty, "select headers from postmill.messages('jobs')") == [{}, {}]
    else:
        for statement in (send, batch):
            with refused("PM004", "has no headers"):
                empty.execute(statement)
        # An entry for each message that says nothing asks for nothing.
        empty.execute(
            b"select postmill.send_batch('jobs', array['1']::jsonb[], headers => array[null]::jsonb[])"
        )


def test_a_message_goes_through_all_its_tables(empty: Database, release: Release) -> None:
    empty.execute(b"select postmill.send_batch('jobs', array['1', '2']::jsonb[])")
    claim(empty, "jobs", 1)
    assert value(empty, "select postmill.cancel('jobs', 1)") == "requested"
    assert value(empty, "select postmill.cancel('jobs', 2)") == "cancelled"
    bury(empty, "jobs", 9)
    assert row(empty, "select msg_id from postmill.replay('jobs')") == {"msg_id": 3}
    empty.execute(b"insert into pgmq.a_jobs (msg_id, read_ct, enqueued_at, vt) values (8, 1, now(), now())")
    found = "select state from postmill.messages('jobs') order by msg_id"
    assert column(empty, found) == ["running", "cancelled", "ready", "completed"]
    assert row(empty, "select ready, running from postmill.queue_stats()") == {"ready": 1, "running": 1}
    assert value(empty, "select postmill.purge_queue('jobs')") == 1


def test_dropping(empty: Database, release: Release) -> None:
    empty.execute(b"select postmill.drop_queue('jobs')")
    with pytest.raises(QueueNotFound):
        pgmq.shape(empty, "jobs")


def test_the_functions_of_supabase_queues(empty: Database, release: Release) -> None:
    migrate(empty, wanted=[named("pgmq_public")])
    assert column(empty, "select pgmq_public.send('jobs', '1')") == [1]
    assert column(empty, "select pgmq_public.send_batch('jobs', array['2', '3']::jsonb[], 60)") == [2, 3]
    assert row(empty, "select msg_id, read_ct, message from pgmq_public.read('jobs', 0, 9)") == {
        "msg_id": 1,
        "read_ct": 1,
        "message": 1,
    }
    assert column(empty, "select message from pgmq_public.pop('jobs')") == [1]
    assert value(empty, "select pgmq_public.archive('jobs', 2)")
    assert value(empty, "select pgmq_public.delete('jobs', 3)")
    assert not value(empty, "select pgmq_public.delete('jobs', 3)")
    assert column(empty, "select msg_id from pgmq.a_jobs") == [2]


def test_a_queue_made_before_an_upgrade_differs_from_one_made_after(empty: Database) -> None:
    # The upgrade to 1.10 adds last_read_at at the end; a table restored from a backup may lack it still.
    empty.execute(RELEASES[-1].sql.encode())
    empty.execute(
        b"select pgmq.create('new'), pgmq.create('old'); alter table pgmq.q_old drop column last_read_at"
    )
    assert [(each.name, each.has_last_read_at) for each in pgmq.shapes(empty)] == [
        ("new", True),
        ("old", False),
    ]


def test_a_partitioned_queue_is_seen_as_such(empty: Database) -> None:
    migrate(empty)
    empty.execute(
        b"insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('parts', true, false)"
    )
    empty.execute(
        b"create table pgmq.q_parts (msg_id bigint generated by default as identity, "
        b"read_ct int not null default 0, enqueued_at timestamptz not null default now(), "
        b"last_read_at timestamptz, vt timestamptz not null, message jsonb, headers jsonb) "
        b"partition by range (msg_id)"
    )
    empty.execute(b"create table pgmq.q_parts_p0 partition of pgmq.q_parts for values from (0) to (100)")
    assert pgmq.shape(empty, "parts").is_partitioned

    empty.execute(b"select postmill.create_queue('parts'); select postmill.enable_wakeups('parts')")
    assert column(empty, "select postmill.send_batch('parts', array['1', '2']::jsonb[])") == [1, 2]
    assert value(empty, "select postmill.cancel('parts', 1)") == "cancelled"
    assert column(empty, "select state from postmill.messages('parts') order by msg_id") == [
        "cancelled",
        "ready",
    ]
    assert value(empty, "select postmill.purge_queue('parts')") == 1
