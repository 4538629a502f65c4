"""From the schema of release 0.1.0, as ``postmill migrate --sql`` printed it, to that of this code.

The file beside this test is never changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from postmill.db.tools import pgmq
from postmill.db.tools.migrate import check_version, migrate, uninstall
from postmill.sql.catalog import statement
from tests.sql.asking import Database, column, row, rows, value
from tests.sql.waiting import park

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RELEASE = Path(__file__).with_name("release_0_1_0.sql")
READER = """
grant usage on schema postmill, pgmq to my_role;
grant execute on function
    postmill.queue_stats, postmill.messages, postmill._queue_table, postmill._claimed, postmill._state,
    postmill._pages, postmill._count_running, postmill._depth, postmill._few_ids,
    postmill._check_state, postmill._in_queue, postmill._in_archive, postmill._tried, postmill._shown
    to my_role;
grant select on all tables in schema postmill, pgmq to my_role;
"""
SENDER = """
grant usage on schema postmill, pgmq to my_role;
grant execute on function
    postmill.send, postmill.send_batch, postmill._due_at, postmill._queue_table,
    postmill._has_headers, postmill._refuse_headers, postmill._seconds_until to my_role;
grant insert, select (msg_id) on pgmq.q_emails to my_role;
"""
WORKER = """
grant usage on schema postmill, pgmq to my_role;
grant select, insert, update, delete on all tables in schema postmill, pgmq to my_role;
grant usage, select on all sequences in schema postmill, pgmq to my_role;
grant execute on all functions in schema postmill, pgmq to my_role;
"""
"""What the reference of that release says to grant."""


@pytest.fixture
def released(empty: Database) -> Database:
    """A database that release 0.1.0 has installed, with a queue."""
    psycopg.RawCursor(empty).execute(pgmq.bundle().sql.encode())
    psycopg.RawCursor(empty).execute(RELEASE.read_text(encoding="utf-8").encode())
    empty.execute(b"select postmill.create_queue('emails')")
    return empty


@pytest.fixture
def granted(released: Database, connect: Callable[[], Database]) -> Iterator[Callable[[str], Database]]:
    """Makes a session of a role that was granted something before the upgrade."""
    roles = []

    def session(grants: str) -> Database:
        roles.append(f"role_{uuid4().hex[:12]}")
        released.execute(f"create role {roles[-1]}; {grants.replace('my_role', roles[-1])}".encode())
        opened = connect()
        opened.execute(f"set session authorization {roles[-1]}".encode())
        return opened

    yield session
    for role in roles:
        released.execute(f"drop owned by {role}; drop role {role}".encode())


def test_no_step_is_left_and_all_is_there(released: Database) -> None:
    migrate(released)
    check_version(released)
    assert migrate(released).steps == ()
    overloaded = column(
        released,
        "select proname from pg_proc where pronamespace = 'postmill'::regnamespace"
        " group by proname having count(*) > 1",
    )
    assert overloaded == []


def test_calls_as_they_were_written_for_the_release_go_on(released: Database) -> None:
    migrate(released)
    for call in (
        "select postmill.send('emails', '1')",
        "select postmill.send('emails', '1', '1 s')",
        "select postmill.send('emails', '1', null, now(), '{}')",
        "select postmill.send(queue => 'emails', message => '1', headers => '{}')",
        "select postmill.send_batch('emails', array['1']::jsonb[], '1 s')",
        "select postmill.send_batch(queue => 'emails', messages => array['1']::jsonb[], run_at => now())",
        "select postmill.set_retention('emails', '1 day')",
        "select postmill.set_retention(queue => 'emails', retention => null)",
    ):
        released.execute(call.encode())
    for read in (
        "select queue_name, ready, exact from postmill.queue_stats()",
        "select ready from postmill.queue_stats('emails', true)",
        "select ready from postmill.queue_stats(queue => 'emails', exactly => true)",
        "select msg_id from postmill.messages('emails', 'ready', 10, null, 100)",
        "select finished_at from postmill.messages(queue => 'emails', only_state => 'ready', max_rows => 5)",
    ):
        assert rows(released, read), read


def test_columns_stand_where_they_stood(released: Database) -> None:
    """A program that takes the columns by their place gets the same ones; new ones come after them."""
    released.execute(b"select postmill.send('emails', '1')")
    reads = ("select * from postmill.queue_stats()", "select * from postmill.messages('emails')")
    before = [list(row(released, read)) for read in reads]
    migrate(released)
    after = [list(row(released, read)) for read in reads]
    assert [now[: len(then)] for then, now in zip(before, after, strict=True)] == before


def test_a_role_that_only_looks_goes_on_looking(
    released: Database, granted: Callable[[str], Database]
) -> None:
    session = granted(READER)
    migrate(released)
    park(released, "emails")
    assert row(session, "select waiting, total from postmill.queue_stats('emails')") == {
        "waiting": 1,
        "total": 1,
    }
    assert row(session, "select state, waits_for from postmill.messages('emails')") == {
        "state": "waiting",
        "waits_for": "no worker",
    }
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(b"select postmill.cancel('emails', 1)")


def test_a_role_that_only_sends_goes_on_sending(
    released: Database, granted: Callable[[str], Database]
) -> None:
    session = granted(SENDER)
    migrate(released)
    assert value(session, "select postmill.send('emails', '1', headers => '{}')") == 1
    assert column(session, "select postmill.send_batch('emails', array['1']::jsonb[])") == [2]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(b"select message from pgmq.q_emails")


def test_a_role_for_workers_has_all_it_needs(released: Database, granted: Callable[[str], Database]) -> None:
    session = granted(WORKER)
    assert rows(session, statement("check_privileges"), False) == []
    migrate(released)
    assert rows(session, statement("check_privileges"), False) == []
    closed = column(
        session,
        "select proname from pg_proc where pronamespace = 'postmill'::regnamespace and proname like '\\_%'"
        " and not prosecdef and not has_function_privilege(oid, 'execute')",
    )
    assert closed == []


def test_its_views_for_edge_worker_go_with_it(released: Database) -> None:
    """It marked the schema, and not the views in it: a removal by marks left them."""
    assert value(released, "select to_regclass('edge_worker.workers') is not null")
    uninstall(released)
    assert value(released, "select to_regnamespace('edge_worker') is null")


def test_its_views_for_edge_worker_are_marked_by_the_upgrade_and_then_removed(released: Database) -> None:
    migrate(released)
    uninstall(released)
    assert value(released, "select to_regnamespace('edge_worker') is null")
