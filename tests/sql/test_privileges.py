"""What a role may do that owns nothing: nothing, and what the documentation says to grant."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from tests.sql.asking import Database, column, rows, value

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "sql-functions.md"


def grants(heading: str) -> str:
    """The first SQL block under a heading of the reference, for role stranger and the test's queue."""
    found = re.search(rf"^#+ {heading}$.*?```sql\n(.*?)```", REFERENCE.read_text(), re.DOTALL | re.MULTILINE)
    assert found, heading
    named = found[1].replace("my_role", "stranger").replace("q_emails_msg_id_seq", '"q_re-size_msg_id_seq"')
    return named.replace("q_emails", '"q_re-size"')


def test_nothing_is_open_to_everybody(db: Database) -> None:
    """Elsewhere everybody could execute the function that ends a job, and so end those of others."""
    open_functions = rows(
        db,
        "select oid::regprocedure from pg_proc "
        "where pronamespace in ('postmill'::regnamespace, 'net'::regnamespace) "
        "and has_function_privilege('public', oid, 'execute')",
    )
    open_tables = rows(
        db,
        "select oid::regclass from pg_class where relkind in ('r', 'v') "
        "and relnamespace in ('postmill'::regnamespace, 'edge_worker'::regnamespace, 'net'::regnamespace) "
        "and has_table_privilege('public', oid, 'select')",
    )
    assert (open_functions, open_tables) == ([], [])
    schemas = "unnest(array['postmill', 'postmill_commands', 'edge_worker', 'cron']) as schema"
    assert (
        column(db, f"select schema from {schemas} where has_schema_privilege('public', schema, 'usage')")
        == []
    )


def test_a_stranger_is_refused(db: Database, queue: str, stranger: Database) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute(b"select postmill.send('re-size', '1')")


def test_the_grants_for_a_sender_are_enough_and_not_more(
    db: Database, queue: str, stranger: Database
) -> None:
    db.execute(b"select postmill.create_queue('private')")
    db.execute(grants("A role that only sends").encode())

    assert value(stranger, "select postmill.send('re-size', '1', headers => '{}')") == 1
    assert column(stranger, "select postmill.send_batch('re-size', array['1']::jsonb[])") == [2]

    for forbidden in (
        "select postmill.send('private', '1')",
        "select postmill.purge_queue('re-size')",
        'select message from pgmq."q_re-size"',
        "select * from postmill.workers",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute(forbidden.encode())


def test_the_grants_for_unique_keys_are_enough_and_not_more(
    db: Database, queue: str, stranger: Database
) -> None:
    db.execute(grants("A role that only sends").encode())
    keyed = "select postmill.send('re-size', $1, unique_key => 'k', on_conflict => $2)"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute(keyed.encode(), ["1", "skip"])
    db.execute(grants("A role that sends with unique keys").encode())

    assert [value(stranger, keyed, "1", "skip") for _ in range(2)] == [1, 1]
    assert value(stranger, "select postmill.send('re-size', '2', priority => 3)") > 1
    many = "select postmill.send_batch('re-size', array_fill('1'::jsonb, array[20]), unique_keys => $1)"
    assert len(column(stranger, many, [str(number) for number in range(20)])) == 20
    for forbidden in ('select message from pgmq."q_re-size"', 'delete from pgmq."q_re-size"'):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute(forbidden.encode())

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute(keyed.encode(), ["2", "replace"])
    db.execute(grants("A role that replaces messages").encode())
    assert value(stranger, keyed, '"new"', "replace") == 1
    assert value(db, 'select message from pgmq."q_re-size" where msg_id = 1') == "new"


def test_the_grants_for_groups_are_enough_and_not_more(db: Database, queue: str, stranger: Database) -> None:
    """A worker waits for work meanwhile: then a send looks whom to wake."""
    db.execute(
        b"insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent)"
        b" values ('re-size', 'f', 'h', 1, '1', 1)"
    )
    db.execute(b"insert into postmill.idle_workers select 're-size', worker_id from postmill.workers")
    db.execute(b"select postmill.send('re-size', '1')")
    for before in ("A role that only sends", "A role that sends with unique keys"):
        db.execute(grants(before).encode())
    waiting = "select postmill.send('re-size', '2', group_key => 'acme')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute(waiting.encode())
    db.execute(grants("A role that sends to groups").encode())
    value(stranger, waiting)
    assert value(db, "select waiting from postmill.queue_stats('re-size')") == 1


def test_the_grants_for_a_reader_are_enough_and_not_more(
    db: Database, queue: str, stranger: Database
) -> None:
    db.execute(b"select postmill.send('re-size', '1')")
    db.execute(grants("A role that only looks").encode())

    assert value(stranger, "select ready from postmill.queue_stats('re-size')") == 1
    assert column(stranger, "select state from postmill.messages('re-size')") == ["ready"]
    for view in ("dead", "failed_attempts", "cancelled", "active_workers", "inactive_workers", "limits"):
        assert rows(stranger, f"select * from postmill.{view}") == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute(b"select postmill.cancel('re-size', 1)")


OF_PROCESSES_THAT_RUN_COMMANDS = (
    "join_runners",
    "look_for_commands",
    "sweep_commands",
    "claim_command",
    "check_command",
    "end_command",
)
"""Their login has nothing else: what a command leaves to the commit could do no more."""


def test_only_trigger_functions_and_those_of_commands_run_as_their_owner_and_all_pin_their_path(
    db: Database,
) -> None:
    functions = rows(
        db,
        "select proname, prosecdef, proconfig from pg_proc where pronamespace = 'postmill'::regnamespace "
        "order by proname",
    )
    assert {each["proname"] for each in functions if each["prosecdef"]} == {
        "_check_secrets",
        "_edge_at_commit",
        "wake",
        *OF_PROCESSES_THAT_RUN_COMMANDS,
    }
    # _state is plain SQL without settings so that it is inlined into scans.
    unpinned = [each["proname"] for each in functions if 'search_path=""' not in (each["proconfig"] or [])]
    assert unpinned == ["_state"]
