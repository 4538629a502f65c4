"""``postmill import supaworker``: a dry run, a run that no kill harms, and a report."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import errors

from tests.acceptance.importing import column, held_up, lines, wait_until_held_up
from tests.servers import cloned_database, session
from tests.sql.supaworker import install, run_their_migration

if TYPE_CHECKING:
    import psycopg

    from postmill.embedded import Server
    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]

JOBS = """
    insert into public.supaworker_jobs (queue, enabled, payload)
    select 'mail', number > 2, to_jsonb(number) from generate_series(1, 12) as number;
    insert into supaworker.jobs (queue, status, claimed_at, payload) values
        ('mail', 'PENDING', null, '13'), ('mail', 'SUCCESS', null, '14'), ('mail', 'RETRY', now(), '15'),
        ('post', 'PENDING', null, '16');
"""
ARRIVED = "select message::int as number from pgmq.q_mail order by number"


@pytest.fixture
def jobs(db: Database) -> Database:
    """Jobs of both versions of Supaworker: some wait, others are disabled, ended or leased."""
    install(db)
    for statement in JOBS.split(";")[:-1]:
        db.execute(statement.encode())
    return db


def test_a_dry_run_says_what_the_run_then_does(cli: Cli, jobs: Database) -> None:
    left = [("public.supaworker_jobs", "mail", "left", 2), *2 * [("supaworker.jobs", "mail", "left", 1)]]
    waiting = [("public.supaworker_jobs", "mail", "to do", 10), ("supaworker.jobs", "mail", "to do", 1)]
    dry = cli("import", "supaworker", "mail", "--create", "--json")
    assert lines(dry) == sorted(left + waiting)
    assert {each["why"] for each in dry.json} == {
        "moved into the queue, which is made",
        "not enabled",
        "ended: SUCCESS",
        "a client of Supaworker has leased it",
    }
    assert "Nothing was written" in dry.err
    assert column(jobs, "select count(*) from pgmq.meta") == [0]
    done = cli("import", "supaworker", "mail", "--create", "--run", "--batch", "3", "--json")
    assert lines(done) == sorted([*left, ("supaworker", "mail", "done", 11)])
    assert column(jobs, ARRIVED) == list(range(3, 14))
    assert lines(cli("import", "supaworker", "mail", "--run", "--json")) == left


def test_a_missing_queue_is_told_before_anything_moves(cli: Cli, jobs: Database) -> None:
    jobs.execute(b"select postmill.create_queue('mail')")
    dry = cli("import", "supaworker", "--json")
    assert [each["why"] for each in dry.json if each["queue"] == "post"] == [
        "there is no such queue: add --create"
    ]
    refusal = cli("import", "supaworker", "--run")
    assert (refusal.error_code, "--create" in refusal.err) == ("queue-not-found", True)
    assert column(jobs, ARRIVED) == []


def test_without_the_facade_says_how_to_get_it(cli: Cli) -> None:
    refusal = cli("import", "supaworker")
    assert (refusal.error_code, "postmill migrate --facade supaworker" in refusal.err) == ("refused", True)


@pytest.mark.parametrize("backend_dies_too", [False, True])
def test_killed_inside_a_batch_and_run_again(
    cli: Cli, jobs: Database, spawn: Any, database_url: str, backend_dies_too: bool
) -> None:
    """Batches before the kill are there, and the one that was under way is whole: done or not at all."""
    jobs.execute(b"select postmill.create_queue('mail')")
    command = ("import", "supaworker", "mail", "--run", "--batch", "3")
    with held_up(jobs, "pgmq.q_mail", "7"):
        process = spawn(*command, env={"POSTMILL_DB_URL": database_url})
        backend = wait_until_held_up(jobs, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(column(jobs, ARRIVED)) == 4
        if backend_dies_too:
            jobs.execute(b"select pg_terminate_backend($1, 10000)", [backend])
    assert cli(*command).code == 0
    assert column(jobs, ARRIVED) == list(range(3, 14))


def test_jobs_of_another_database_are_copied_into_the_facades_table_first(
    cli: Cli, db: Database, shared_server: Server
) -> None:
    """As the page on imports says; a second copy of the same jobs is refused while they wait."""
    columns = "public.supaworker_jobs (id, created_at, queue, enabled, attempts, options, payload)"
    install(db)
    with cloned_database(shared_server.url) as url, session(url) as there:
        run_their_migration(there)
        there.execute(JOBS.split(";", maxsplit=1)[0].encode())
        with there.cursor().copy(f"copy {columns} to stdout".encode()) as read:
            jobs = b"".join(bytes(each) for each in read)

    def bring() -> None:
        with db.cursor().copy(f"copy {columns} from stdin".encode()) as write:
            write.write(jobs)

    bring()
    with pytest.raises(errors.UniqueViolation):
        bring()
    assert cli("import", "supaworker", "--create", "--run").code == 0
    assert column(db, ARRIVED) == list(range(3, 13))


def test_two_imports_at_once(cli: Cli, jobs: Database, spawn: Any, database_url: str) -> None:
    jobs.execute(b"select postmill.create_queue('mail')")
    command = ("import", "supaworker", "mail", "--run", "--batch", "3", "--json")
    with held_up(jobs, "pgmq.q_mail", "7"):
        process = spawn(*command, env={"POSTMILL_DB_URL": database_url})
        wait_until_held_up(jobs, process)
        second = cli(*command)
    first = json.loads(process.communicate(timeout=30)[0])
    done = [each["count"] for each in (*first, *second.json) if each["outcome"] == "done"]
    assert sum(done) == 11
    assert column(jobs, ARRIVED) == list(range(3, 14))


def test_jobs_that_row_security_hides_are_an_error(cli: Cli, jobs: Database, database_url: str) -> None:
    """A role that may read the tables, and sees no row, was told that there is nothing to import."""
    role = f"guest_{jobs.info.dbname}"
    jobs.execute(f"create role {role} login".encode())
    try:
        for schema in ("postmill", "pgmq", "supaworker"):
            jobs.execute(f"grant usage on schema {schema} to {role}".encode())
            jobs.execute(f"grant select on all tables in schema {schema} to {role}".encode())
        jobs.execute(f"grant select on public.supaworker_jobs to {role}".encode())
        url = database_url.replace("postgres@", f"{role}@", 1)
        refusal = cli("import", "supaworker", "--db-url", url)
        assert refusal.code != 0
        assert "row-level security" in refusal.err
    finally:
        jobs.execute(f"drop owned by {role}".encode())
        jobs.execute(f"drop role {role}".encode())
