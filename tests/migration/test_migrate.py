from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from postmill import sql
from postmill.db.tools import migration_plan, pgmq
from postmill.db.tools.migrate import check_version, migrate, pending_sql, uninstall
from postmill.model.errors import InvalidOption, MigrationFailed, Refused, SchemaMissing, SchemaTooNew
from postmill.sql import catalog
from tests.other_defaults import FORMS, alterations
from tests.sql.asking import Database, column, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postmill.embedded.binaries import Binaries

MIGRATIONS = tuple(
    f"migrations/{file.stem}" for file in sorted(Path(sql.__file__).parent.glob("migrations/*.sql"))
)
STEPS = ("migrator", "pgmq", *MIGRATIONS, "functions and views")


def test_an_empty_database_gets_everything_and_a_second_time_nothing(empty: Database) -> None:
    assert migrate(empty).steps == STEPS
    check_version(empty)
    assert migrate(empty).steps == ()
    assert pending_sql(empty) == ""
    empty.execute(b"select postmill.create_queue('works')")
    assert value(empty, "select postmill.send('works', '1')") == 1


def test_other_defaults_of_a_database_change_nothing(
    empty: Database, connect: Callable[[], Database]
) -> None:
    """With standard_conforming_strings off it failed: a backslash had ended no literal of pgmq's."""
    for alteration in alterations(empty.info.dbname, FORMS):
        empty.execute(alteration.encode())
    session = connect()
    assert migrate(session).steps == STEPS
    session.execute(b"select postmill.create_queue('works')")
    assert value(session, "select postmill.send('works', '1')") == 1
    assert column(session, "select postmill.send_batch('works', array['2', '3']::jsonb[])") == [2, 3]
    session.execute(b"select postmill.drop_queue('works')")


def test_writes_down_which_pgmq_it_brought(empty: Database) -> None:
    migrate(empty)
    bundle = pgmq.bundle()
    stamp = rows(empty, "select version, sha256 from postmill.components where name = 'pgmq'")
    assert stamp == [{"version": bundle.version, "sha256": bundle.sha256}]


def test_five_at_once_do_the_work_of_one(connect: Callable[[], Database]) -> None:
    sessions = [connect() for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        reports = list(pool.map(migrate, sessions))
    assert sorted(step for report in reports for step in report.steps) == sorted(STEPS)


def test_at_once_also_where_a_role_reads_from_one_snapshot(
    empty: Database, connect: Callable[[], Database]
) -> None:
    # Repeatable read would take its snapshot before it waits for the lock, and do everything twice.
    empty.execute(
        f"alter database {empty.info.dbname} set default_transaction_isolation = 'repeatable read'".encode()
    )
    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(migrate, [connect() for _ in range(3)]))
    assert sorted(step for report in reports for step in report.steps) == sorted(STEPS)


def test_the_owner_of_the_database_needs_no_more_rights(owner: Database) -> None:
    assert value(owner, "select not rolsuper from pg_roles where rolname = current_user")
    assert migrate(owner).steps == STEPS
    owner.execute(b"select postmill.create_queue('works')")
    assert value(owner, "select postmill.send('works', '1')") == 1
    assert column(owner, "select ready from postmill.queue_stats()") == [1]


def test_without_the_right_to_create_it_says_what_to_grant(
    empty: Database, connect: Callable[[], Database]
) -> None:
    session = connect()
    session.execute(b"set role pg_monitor")
    with pytest.raises(MigrationFailed, match="grant create on database"):
        migrate(session)
    assert value(empty, "select to_regnamespace('postmill')") is None


def test_a_read_only_server_is_named(empty: Database) -> None:
    empty.execute(b"set default_transaction_read_only = on")
    with pytest.raises(MigrationFailed, match="does not accept changes"):
        migrate(empty)


def test_a_failing_step_leaves_nothing_and_says_why(empty: Database) -> None:
    migrate_up_to_pgmq = "create schema pgmq; create type pgmq.queue_record as (x int)"
    empty.execute(migrate_up_to_pgmq.encode())
    with pytest.raises(MigrationFailed, match="already exists"):
        migrate(empty)
    assert value(empty, "select to_regclass('pgmq.meta')") is None


def test_wants_autocommit(empty_url: str) -> None:
    with psycopg.connect(empty_url) as connection, pytest.raises(InvalidOption, match="autocommit"):
        migrate(connection)


def test_the_printed_sql_does_the_same_under_psql(
    empty: Database, empty_url: str, postgres_binaries: Binaries
) -> None:
    psql = postgres_binaries.program("psql")
    command = [psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", empty_url]
    subprocess.run(command, input=pending_sql(empty), text=True, check=True, capture_output=True)
    check_version(empty)
    assert migrate(empty).steps == ()


def test_a_changed_function_is_applied_again_and_keeps_its_grants(empty: Database) -> None:
    migrate(empty)
    empty.execute(b"grant execute on function postmill.now to pg_monitor")
    empty.execute(b"update postmill.components set sha256 = 'older' where name = 'functions/now'")
    empty.execute(
        b"create or replace function postmill.now() returns timestamptz "
        b"language sql as 'select null::timestamptz'"
    )

    check_version(empty)  # In a rolling deployment the other release's text is no reason to refuse.
    assert migrate(empty).steps == ("functions and views",)

    assert value(empty, "select postmill.now() is not null")
    assert value(empty, "select has_function_privilege('pg_monitor', 'postmill.now()', 'execute')")


@pytest.fixture
def role(empty: Database) -> Iterator[str]:
    """A role of this test."""
    name = f"looks_{uuid4().hex[:12]}"
    empty.execute(f"create role {name}".encode())
    yield name
    empty.execute(f"drop owned by {name}; drop role {name}".encode())


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that drops a function and makes a table, and a new function that the others call."""
    more = {
        "migrations": ("9000_later", "drop function postmill.now(); create table postmill.later (id int);"),
        "functions": ("_later", "create function postmill._later() returns int language sql as 'select 1';"),
    }
    monkeypatch.setattr(
        migration_plan,
        "scripts",
        lambda folder: [*catalog.scripts(folder), *([more[folder]] if folder in more else [])],
    )


def test_a_function_that_is_dropped_and_made_again_keeps_its_grants(
    empty: Database, role: str, request: pytest.FixtureRequest
) -> None:
    """Each upgrade that changed a function's parameters took it away from the roles that had it."""
    migrate(empty)
    empty.execute(
        f"grant usage on schema postmill to {role}; grant select on all tables in schema postmill to {role};"
        f"grant execute on function postmill.now to {role} with grant option".encode()
    )
    before = value(empty, "select 'postmill.now()'::regprocedure::oid")

    request.getfixturevalue("next_release")
    assert migrate(empty).steps == ("migrations/9000_later", "functions and views")

    may = "select has_function_privilege($1, $2, $3)"
    assert value(empty, "select 'postmill.now()'::regprocedure::oid") != before
    assert value(empty, may, role, "postmill.now()", "execute with grant option")
    assert value(empty, may, role, "postmill._later()", "execute")
    assert not value(empty, may, role, "postmill.pause(text, text)", "execute")
    assert not value(empty, may, "pg_monitor", "postmill._later()", "execute")
    assert value(empty, "select has_table_privilege($1, 'postmill.later', 'select')", role)
    assert not value(empty, "select has_table_privilege($1, 'postmill.later', 'insert')", role)


def test_a_function_that_another_role_makes_again_keeps_its_owner(
    empty: Database, role: str, request: pytest.FixtureRequest
) -> None:
    """A superuser upgraded the schema of a role that then could not upgrade it again by itself."""
    migrate(empty)
    empty.execute(f"alter function postmill.now owner to {role}".encode())
    request.getfixturevalue("next_release")
    migrate(empty)
    assert (
        value(
            empty,
            "select proowner::regrole::text from pg_proc where proname = 'now' and "
            "pronamespace = 'postmill'::regnamespace",
        )
        == role
    )


def test_no_session_sees_a_function_that_is_being_replaced(
    empty: Database, connect: Callable[[], Database], request: pytest.FixtureRequest
) -> None:
    """It was away between two transactions of the migration, and whatever called it failed."""
    migrate(empty)
    request.getfixturevalue("next_release")
    keeper, looker = connect(), connect()
    keeper.execute(b"begin; lock table postmill.workers in access share mode")
    keeper.execute(b"lock table postmill.active_workers in access share mode")
    with ThreadPoolExecutor(1) as pool:
        upgrade = pool.submit(migrate, empty)
        waits = "select count(*) from pg_locks where not granted and pid = $1"
        while not value(looker, waits, empty.info.backend_pid):
            assert not upgrade.done()
        assert value(looker, "select postmill.now() is not null")
        keeper.execute(b"commit")
        upgrade.result()
    assert value(looker, "select postmill.now() is not null")


def test_a_deadlock_with_a_session_at_work_is_met_again_and_passes(
    empty: Database, connect: Callable[[], Database], request: pytest.FixtureRequest
) -> None:
    """A step locks more than one thing, in another order than sessions do."""
    migrate(empty)
    request.getfixturevalue("next_release")
    worker, looker = connect(), connect()
    worker.execute(b"set deadlock_timeout = '1 min'")
    empty.execute(b"set deadlock_timeout = '1 s'")
    worker.execute(b"begin; select from postmill.active_workers")
    with ThreadPoolExecutor(2) as pool:
        upgrade = pool.submit(migrate, empty)
        waits = "select count(*) from pg_locks where not granted and pid = $1"
        while not value(looker, waits, empty.info.backend_pid):
            assert not upgrade.done()
        # The lock that the migrator of another step holds: the advisory one.
        worker.execute(b"select pg_advisory_xact_lock(x'706f73746d696c6c'::bigint)")
        worker.execute(b"commit")
        assert upgrade.result().steps == ("migrations/9000_later", "functions and views")


def test_what_a_user_has_built_on_a_function_that_changes_is_named(
    empty: Database, request: pytest.FixtureRequest
) -> None:
    migrate(empty)
    empty.execute(b"create view public.mine as select postmill.now()")
    request.getfixturevalue("next_release")
    with pytest.raises(MigrationFailed, match=r"view public\.mine depends on") as refusal:
        migrate(empty)
    assert "create it again" in refusal.value.hint
    assert value(empty, "select to_regclass('postmill.later')") is None


def test_after_a_migration_all_functions_are_applied_again(empty: Database) -> None:
    # As after an upgrade that stopped between the two steps.
    migrate(empty)
    empty.execute(b"delete from postmill.migrations")
    tables = column(
        empty,
        "select format('postmill.%I', relname) from pg_class where relnamespace = 'postmill'::regnamespace"
        " and relkind = 'r' and relname not in ('migrations', 'components')",
    )
    empty.execute(f"drop table {', '.join(tables)} cascade; drop type postmill.flow_tasks cascade".encode())
    printed = pending_sql(empty)
    assert "create or replace function postmill.send(" in printed
    with pytest.raises(SchemaMissing, match="0001_pre_tables"):
        check_version(empty)
    assert migrate(empty).steps == (*MIGRATIONS, "functions and views")
    assert column(empty, "select pid from postmill.active_workers") == []


def test_a_renamed_table_asks_workers_of_the_release_before_to_stop(empty: Database) -> None:
    # They insert into postmill.listeners and wait for the payload `call`: neither is there any more.
    migrate(empty)
    empty.execute(b"alter table postmill.idle_workers rename to listeners")
    empty.execute(b"alter index postmill.idle_workers_pkey rename to listeners_pkey")
    empty.execute(b"delete from postmill.migrations where name = '0005_idle_workers'")
    empty.execute(
        b"insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent,"
        b" stopped_at) values ('q', 'f', 'h', 1, '0', 1, null), ('q', 'f', 'h', 2, '0', 1, now())"
    )

    assert migrate(empty).steps == ("migrations/0005_idle_workers", "functions and views")

    assert column(empty, "select pid from postmill.workers where deprecated_at is not null") == [1]


def test_a_newer_schema_is_refused_and_left_alone(empty: Database) -> None:
    migrate(empty)
    empty.execute(
        b"insert into postmill.migrations (number, name, sha256) values (9999, '9999_pre_future', 'x')"
    )
    empty.execute(b"update postmill.components set sha256 = 'newer'")
    for operation in (migrate, check_version, pending_sql):
        with pytest.raises(SchemaTooNew, match="9999_pre_future"):
            operation(empty)
    assert column(empty, "select distinct sha256 from postmill.components") == ["newer"]


def test_a_migration_whose_text_changed_is_refused(empty: Database) -> None:
    migrate(empty)
    empty.execute(b"update postmill.migrations set sha256 = 'another'")
    with pytest.raises(MigrationFailed, match="0001_pre_tables is not the one"):
        migrate(empty)


@pytest.mark.parametrize("removed", ["functions/send", "views/dead"])
def test_check_version_names_what_is_missing(empty: Database, removed: str) -> None:
    with pytest.raises(SchemaMissing, match="no Postmill schema"):
        check_version(empty)
    migrate(empty)
    empty.execute(b"delete from postmill.components where name = $1", [removed])
    with pytest.raises(SchemaMissing, match=removed):
        check_version(empty)


def test_a_schema_edge_worker_of_somebody_else_is_left_alone(empty: Database) -> None:
    empty.execute(b"create schema edge_worker; create table edge_worker.workers (mine int)")
    migrate(empty)
    check_version(empty)
    assert migrate(empty).steps == ()
    assert column(empty, "select relname from pg_class where relnamespace = 'edge_worker'::regnamespace") == [
        "workers"
    ]


def test_pg_net_and_vault_are_left_alone_and_calls_work_beside_them(empty: Database) -> None:
    """Schemas of their names stand in for them."""
    empty.execute(b"create schema net; create table net.http_request_queue (mine int); create schema vault")
    migrate(empty)
    assert column(empty, "select relname from pg_class where relnamespace = 'net'::regnamespace") == [
        "http_request_queue"
    ]
    assert column(empty, "select proname from pg_proc where pronamespace = 'net'::regnamespace") == []
    assert column(empty, "select postmill.call('https://example.com')") == [1]
    uninstall(empty, force=True)
    assert column(empty, "select count(*) from net.http_request_queue") == [0]


def test_a_pgmq_too_old_is_refused_in_words(empty: Database) -> None:
    empty.execute(b"create schema pgmq; create type pgmq.message_record as (msg_id bigint, message jsonb)")
    with pytest.raises(Refused, match="enqueued_at, read_ct, vt"):
        migrate(empty)
