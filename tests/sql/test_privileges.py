"""What a role may do that owns nothing: nothing, and what the documentation says to grant."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from postmill.db.tools import roles
from tests.sql.asking import Database, column, rows, value

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "sql-functions.md"


def grants(heading: str) -> str:
    """The first SQL block under a heading of the reference, for role stranger and the test's queue."""
    found = re.search(rf"^#+ {heading}$.*?```sql\n(.*?)```", REFERENCE.read_text(), re.DOTALL | re.MULTILINE)
    assert found, heading
    named = found[1].replace("my_role", "stranger").replace("q_emails_msg_id_seq", '"q_re-size_msg_id_seq"')
    return named.replace("q_emails", '"q_re-size"').replace("a_emails", '"a_re-size"')


SCHEMAS = ("postmill", "postmill_commands", "cron", "net", "edge_worker")
OPEN = {
    # As with pg_cron, whoever is let into schema cron may schedule; nobody is let in by default.
    *("cron.schedule", "cron.schedule_in_database", "cron.alter_job", "cron.unschedule"),
    *("cron._put", "cron._check", "cron._check_place"),
    *("cron.job select", "cron.own_job select", "cron.job_run_details select"),
    *("cron.own_job insert of columns", "cron.own_job update of columns"),
    "cron.removed_job insert of columns",
    # Each command looks there, as its user, whether it is called by its own run.
    "postmill_commands.running_here select",
}
"""What every role may use that is let into the schema: everything else is refused."""
EXECUTABLE = """
    select distinct format('%s.%s', pronamespace::regnamespace, proname) from pg_proc
    where pronamespace::regnamespace::text = any ($1) and has_function_privilege(oid, 'execute')
"""
USABLE = """
    select format('%s.%s %s', class.relnamespace::regnamespace, class.relname, privilege.name)
    from pg_class as class
    cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'])
        as privilege (name)
    where class.relkind in ('r', 'p', 'v', 'm', 'f') and class.relnamespace::regnamespace::text = any ($1)
      and has_table_privilege(class.oid, privilege.name)
    union all
    select format('%s.%s %s of columns', class.relnamespace::regnamespace, class.relname, privilege.name)
    from pg_class as class
    cross join unnest(array['select', 'insert', 'update', 'references']) as privilege (name)
    where class.relkind in ('r', 'p', 'v', 'm', 'f') and class.relnamespace::regnamespace::text = any ($1)
      and has_any_column_privilege(class.oid, privilege.name)
      and not has_table_privilege(class.oid, privilege.name)
    union all
    select format('%s.%s %s', class.relnamespace::regnamespace, class.relname, privilege.name)
    from pg_class as class cross join unnest(array['usage', 'select', 'update']) as privilege (name)
    where class.relkind = 'S' and class.relnamespace::regnamespace::text = any ($1)
      and has_sequence_privilege(class.oid, privilege.name)
"""


@pytest.mark.parametrize("with_roles", [False, True])
def test_nothing_but_this_is_open_to_a_role_without_grants(
    db: Database, stranger: Database, with_roles: bool
) -> None:
    """Every function, table, view and sequence, also where the roles of Postmill have their grants."""
    if with_roles:
        roles.grant(db)
    may_use = "select schema from unnest($1::text[]) as schema where has_schema_privilege(schema, 'usage')"
    assert column(stranger, may_use, list(SCHEMAS)) == []
    found = {*column(stranger, EXECUTABLE, list(SCHEMAS)), *column(stranger, USABLE, list(SCHEMAS))}
    assert found == OPEN


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


OF_THE_OWNER = {
    "postmill._check_secrets": "trigger of calls and call_queues: reads new rows only",
    "postmill._make_call": "only what a schedule calls, as the role that scheduled it",
    "postmill._end_call_run": "trigger of call_responses: ends the run that the call was made for",
    "postmill._edge_at_commit": "trigger of edges: _block has asked for the right to write to the source",
    "postmill._prune_audit": "has no argument, and deletes only what is too old",
    "postmill.wake": "trigger of queues: sends a notification",
    "cron._delete_run": "trigger of job_run_details: the view shows own jobs only",
    "cron._remove_job": "trigger of removed_job: who removes is a column that no user can write",
    "postmill.join_runners": "counts the session that calls it",
    "postmill.look_for_commands": "has no argument",
    "postmill.sweep_commands": "has no argument",
    "postmill.claim_command": "has no argument",
    "postmill.check_command": "only of the run of this session",
    "postmill.end_command": "only of a run of this login",
    "postmill.call_command": "only names of commands; its owner has no right",
    "postmill.register_flow": "a program says what flows it has: the queues are of their names",
    "postmill.run_result": "how a run is doing, to whoever was told its number at its start",
    "postmill.step_output": "what a step has given, likewise",
    "postmill._why_no_output": "why it has given nothing, likewise",
    "postmill._child_result": "how a run is doing, to the step that has started it",
    "postmill._are_held": "tells only whether tasks wait for a program",
    "postmill._check_known_flow": "tells only whether a flow is known and takes an input",
    "postmill._start_scheduled": "only what a schedule starts",
    "postmill._end_flow_runs": "writes down only what is so",
    "postmill.start_flow": "whoever may start flows writes nothing else of them",
    "postmill._settle_steps": "changes only steps that have begun, as whoever has their message may",
    "postmill._prepare_settling": "changes nothing",
    "postmill._end_undo": "changes only steps that are to be undone, as whoever has their message may",
    "postmill._fail_steps": "changes only steps that have begun, as whoever has their message may",
    "postmill._paused_run": "why a run stands, to whoever has a message of it",
    "postmill._laid_aside": "why a run stands, to whoever had a message of it",
    "postmill._refuse_inputs": "fails only runs that go on, as whoever has messages of theirs may",
    "postmill.cancel_run": "one run, for whoever may steer runs",
    "postmill.pause_run": "one run, for whoever may steer runs",
    "postmill.resume_run": "one run, for whoever may steer runs",
    "postmill.retry_run": "one run, for whoever may steer runs",
    "postmill.fork_run": "one run, for whoever may steer runs",
    "postmill.steer_runs": "runs, for whoever may steer runs",
    "postmill.import_run": "makes a run, for whoever may steer runs",
    "postmill.sweep_flows": "its argument is how many",
    "postmill.prune_runs": "runs that have ended, for whoever runs flows",
    "postmill._hold_tasks": "a worker puts away the tasks that it has claimed",
    "postmill._start_children": "one run for a step that has begun",
    "postmill._step_inputs": "what a worker is to run a step with",
    "postmill._ended_runs": "a worker learns how runs have ended whose steps it runs",
    "postmill._load_runs": "what a worker is to run a workflow with",
    "postmill._write_checkpoints": "a worker writes down what steps came to; what is recorded stays",
    "postmill._say_events": "a worker adds what runs say",
    "postmill._park_runs": "a worker lays its runs aside, each under its newest message",
    "postmill._end_runs_of_workflows": "a worker ends its runs, each under its newest message",
    "postmill._refuse_signal": "a worker says that a value does not fit its wait, under its newest message",
    "postmill._do_again": "a worker says by what its retried run would fail, under its newest message",
    "postmill._begin_undo": "a worker says that its run fails, under its newest message",
    "postmill._start_child": "one run for a step of a run that runs",
    "postmill._wake_parents": "writes what came of a child that has ended, for the step that waits",
    "postmill.signal_run": "whoever may signal runs adds a signal, and wakes who waits for it",
}
"""The functions that run with their owner's rights, and why none lets its caller do more than it is for."""
DEFINERS = """
    select format('%s.%s', pronamespace::regnamespace, proname) as name, proconfig as settings,
        prorettype = 'trigger'::regtype as is_trigger, proowner::regrole::text as owner
    from pg_proc where prosecdef and pronamespace::regnamespace::text = any ($1)
"""


def test_functions_that_run_as_their_owner_are_these_and_pin_their_path(db: Database) -> None:
    roles.grant(db)
    found = rows(db, DEFINERS, list(SCHEMAS))
    assert {each["name"] for each in found} == set(OF_THE_OWNER)
    assert [
        each["name"] for each in found if "search_path=pg_catalog, pg_temp" not in (each["settings"] or [])
    ] == []
    assert [each["name"] for each in found if each["owner"] == "postmill_nobody"] == ["postmill.call_command"]


def test_all_functions_pin_their_path(db: Database) -> None:
    # _state is plain SQL without settings so that it is inlined into scans.
    names = rows(db, "select proname, proconfig from pg_proc where pronamespace = 'postmill'::regnamespace")
    unpinned = [
        each["proname"]
        for each in names
        if "search_path=pg_catalog, pg_temp" not in (each["proconfig"] or [])
    ]
    assert unpinned == ["_state"]


@pytest.mark.parametrize(
    "call",
    [
        "end_command({run}, {pid}, 'SELECT 1', null)",
        "end_command({run}, pg_backend_pid(), null, 'no')",
        "end_command(null, null, null, null)",
        "check_command({run})",
        "check_command(null)",
        "call_command('running_here()')",
        "call_command('job_1_{hex}() from pg_sleep(0); drop table x; --')",
        "call_command(null)",
        "join_runners(null)",
        "join_runners(true)",
        "sweep_commands()",
        "claim_command()",
    ],
)
def test_a_process_that_runs_commands_does_nothing_to_the_run_of_another(
    db: Database, stranger: Database, call: str
) -> None:
    """Whatever it gives as an argument."""
    roles.grant(db)
    db.execute(b"select postmill.schedule_sql('job', '@yearly', 'select 1'), postmill.run_schedule('job')")
    run = value(db, "select run_id from postmill.claim_command()")
    before = rows(db, "select * from postmill.schedule_runs")
    wanted = call.format(run=run, pid=db.info.backend_pid, hex="0" * 32)
    db.execute(b"grant postmill_scheduler to stranger")
    try:
        with suppress(psycopg.DatabaseError):
            stranger.execute(f"select postmill.{wanted}".encode())
    finally:
        db.execute(b"revoke postmill_scheduler from stranger")
    assert rows(db, "select * from postmill.schedule_runs") == before
    assert before[0]["status"] == "running"


TYPES = (
    "bigint",
    "boolean",
    "integer",
    "interval",
    "jsonb",
    "name",
    "regclass",
    "text",
    "timestamptz",
    "uuid",
)
HIJACK = """
    create function pg_temp.spy_{type}(pg_catalog.{type}) returns boolean language plpgsql as $$ begin
        if current_user <> session_user then raise exception 'ran as %', current_user; end if;
        return true;
    end $$;
    create domain pg_temp.{type} as pg_catalog.{type} check (pg_temp.spy_{type}(value))
"""
NAMES = {"bigint": "int8", "boolean": "bool", "integer": "int4"}


def test_types_of_a_session_run_nothing_with_the_rights_of_the_owner(
    db: Database, queue: str, stranger: Database
) -> None:
    """An empty search_path looks for types and tables among the session's temporary ones first: a domain that
    is named like a type had its check run as the owner of the functions, by whoever may send.
    """
    roles.grant(db)
    for heading in ("A role that only sends", "A role that makes calls"):
        db.execute(grants(heading).encode())
    db.execute(
        b"grant usage on schema cron to stranger; grant postmill_worker, postmill_scheduler to stranger"
    )
    db.execute(b"grant usage, create on schema postmill_commands to stranger")
    for each in TYPES:
        stranger.execute(HIJACK.format(type=NAMES.get(each, each)).encode())
    try:
        said = [_said(stranger, statement) for statement in OF_THE_OWNERS_FUNCTIONS]
    finally:
        db.execute(b"revoke postmill_worker, postmill_scheduler from stranger")
    assert [each for each in said if "ran as" in each] == []


OF_THE_OWNERS_FUNCTIONS = (
    "select postmill.send('re-size', '1', group_key => 'g', unique_key => 'k')",
    "insert into postmill.calls (method, url, timeout_ms) values ('GET', 'https://a.test/{{secret:S}}', 1)",
    "select cron.unschedule(cron.schedule('@yearly', 'select 1'))",
    "select postmill.check_command(1)",
    "select postmill.claim_command()",
    "select postmill.join_runners(false)",
    "select postmill.look_for_commands()",
    "select postmill.sweep_commands()",
)
"""Statements that reach functions which run with their owner's rights."""


def _said(session: Database, statement: str) -> str:
    """The error, if there is one: other refusals are right."""
    try:
        session.execute(statement.encode())
    except psycopg.Error as error:
        return str(error)
    return ""


def test_a_table_of_a_session_makes_nobody_the_owner_of_jobs(db: Database, stranger: Database) -> None:
    """With a temporary pg_namespace of one's own, jobs of others could be removed."""
    db.execute(b"grant usage on schema cron to stranger")
    job = value(db, "select cron.schedule('theirs', '@yearly', 'select 1')")
    stranger.execute(
        b"create temporary table pg_namespace (oid oid, nspname name, nspowner oid);"
        b"insert into pg_namespace select 0, 'postmill', oid from pg_roles where rolname = current_user;"
        b"grant select on pg_namespace to public"
    )
    with suppress(psycopg.Error):
        stranger.execute(b"insert into cron.removed_job (schedule_id) values ($1)", [job])
    assert value(db, "select count(*) from cron.job") == 1


def test_roles_reach_neither_secrets_nor_payloads_by_a_way_round(db: Database) -> None:
    """A worker's login had a call's secret sent to another address, and a sender read what was cancelled."""
    roles.grant(db)
    may = "select has_column_privilege($1, $2, $3, $4)"
    for column_name in ("url", "headers", "secrets", "created_by", "host"):
        assert not value(db, may, "postmill_worker", "postmill.calls", column_name, "update")
    for role in ("postmill_producer", "postmill_scheduler"):
        assert not value(db, may, role, "postmill.cancellations", "message", "select")
