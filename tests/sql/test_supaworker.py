"""The facade supaworker: the tables and functions of both versions, and the bridge into a queue."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from postmill.db.tools.facades import named
from postmill.db.tools.migrate import remove_facades
from postmill.model.errors import MigrationFailed, Refused
from tests.sql.asking import Database, column, refused, row, rows, value
from tests.sql.supaworker import MIGRATION, install, run_their_migration

if TYPE_CHECKING:
    from collections.abc import Callable

INSERT = "insert into public.supaworker_jobs (queue, payload) values ('mail', $1) returning id"
SECOND = "insert into supaworker.jobs (queue, status, payload) values ('mail', 'PENDING', $1) returning id"
DEQUEUE = "select * from supaworker.dequeue('mail')"
FIRST_JOB = ["id", "created_at", "queue", "enabled", "attempts", "options", "payload"]
ALL = "select count(*) from {}"


@pytest.fixture
def theirs(db: Database) -> Database:
    """The facade, a queue of Postmill for the bridge, and the role that owns Supaworker's tables."""
    assert value(db, "select current_user") == "postgres"
    db.execute(b"select postmill.create_queue('mail')")
    return install(db)


def test_each_statement_of_the_migration_runs_after_ours(theirs: Database) -> None:
    """Ours has neither identity nor primary key, which the statements add."""
    ids = column(theirs, INSERT, "1")
    for statement in MIGRATION:
        theirs.execute(statement.encode())
    assert column(theirs, INSERT, "2") == [1]
    assert ids[0] > 1
    assert column(theirs, "select payload from public.dequeue('mail')") == [1]
    assert column(theirs, "select payload from public.dequeue('mail')") == [2]
    install(theirs)


def test_the_migration_that_ran_before_ours_is_used(db: Database) -> None:
    db.execute(b"select postmill.create_queue('mail')")
    run_their_migration(db)
    before = value(db, "select pg_get_functiondef('public.dequeue'::regproc)")
    column(db, INSERT, "1")
    install(db)
    assert value(db, "select pg_get_functiondef('public.dequeue'::regproc)") == before
    assert column(db, INSERT, "2") == [2]
    assert value(db, "select supaworker.bridge('mail')") == 2
    assert column(db, "select message from pgmq.q_mail order by msg_id") == [1, 2]


def test_a_table_of_another_shape_is_refused_in_words(db: Database) -> None:
    db.execute(b"create table public.supaworker_jobs (id int)")
    with pytest.raises(MigrationFailed, match="is not the one that Supaworker's migration makes"):
        install(db)
    assert value(db, "select to_regnamespace('supaworker')") is None


def test_dequeue_of_the_first_version_deletes(theirs: Database) -> None:
    insert = "insert into public.supaworker_jobs (queue, enabled, options, payload) values ($1, $2, $3, $4)"
    for values in (("mail", False, None, "1"), ("post", True, None, "2"), ("mail", True, '{"a": 1}', "3")):
        theirs.execute(insert.encode(), values)
    job = row(theirs, "select * from public.dequeue('mail')")
    assert list(job) == FIRST_JOB
    assert (job["queue"], job["attempts"], job["options"], job["payload"]) == ("mail", 0, {"a": 1}, 3)
    assert rows(theirs, "select * from public.dequeue(queue_name => 'mail')") == []
    assert column(theirs, "select payload from public.supaworker_jobs order by id") == [1, 2]


def test_dequeue_of_the_second_version_leases_until_the_status_settles(theirs: Database) -> None:
    (job_id,) = column(theirs, SECOND, '{"to": "ada"}')
    job = row(theirs, DEQUEUE)
    assert (job["id"], job["attempts"], job["status"], job["payload"]) == (
        job_id,
        0,
        "PENDING",
        {"to": "ada"},
    )
    assert job["claimed_at"] is not None
    assert rows(theirs, DEQUEUE) == []
    again = row(theirs, "select * from supaworker.increment_attempts(job_id => $1)", job_id)
    assert again["attempts"] == 1
    theirs.execute(b"update supaworker.jobs set status = 'SUCCESS' where id = $1", [job_id])
    theirs.execute(b"update supaworker.jobs set updated_at = 'epoch', lease = '1 us' where id = $1", [job_id])
    assert rows(theirs, DEQUEUE) == []
    assert rows(theirs, "select * from supaworker.increment_attempts(-1)") == []


def test_a_job_of_a_worker_that_died_is_leased_again(theirs: Database) -> None:
    """Supaworker itself leaves it claimed for ever."""
    (job_id,) = column(theirs, SECOND, "1")
    assert row(theirs, DEQUEUE)["id"] == job_id
    theirs.execute(b"update supaworker.jobs set lease = '1 us'")
    assert row(theirs, DEQUEUE)["id"] == job_id


def test_each_update_renews_the_lease(theirs: Database) -> None:
    (job_id,) = column(theirs, SECOND, "1")
    claimed = row(theirs, DEQUEUE)
    touched = row(theirs, "select * from supaworker.increment_attempts($1)", job_id)
    assert touched["updated_at"] > claimed["updated_at"]


def test_a_job_that_is_pending_again_is_taken_again(theirs: Database) -> None:
    (job_id,) = column(theirs, SECOND, "1")
    rows(theirs, DEQUEUE)
    for status, found in (("RETRY", []), ("ERROR", []), ("PENDING", [job_id])):
        theirs.execute(b"update supaworker.jobs set status = $1", [status])
        assert column(theirs, "select id from supaworker.dequeue('mail')") == found


def test_a_status_that_nothing_takes_is_refused(theirs: Database) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="jobs_status_check"):
        theirs.execute(b"insert into supaworker.jobs (queue, status) values ('mail', 'pending')")


def test_logs_outlive_their_job(theirs: Database) -> None:
    (job_id,) = column(theirs, SECOND, "1")
    theirs.execute(b"insert into supaworker.logs (job_id, status) values ($1, 'RETRY')", [job_id])
    assert value(theirs, "select supaworker.bridge('mail')") == 1
    assert column(theirs, "select job_id from supaworker.logs") == [job_id]


def test_the_bridge_moves_what_waits_and_nothing_else(theirs: Database) -> None:
    """Disabled, claimed and settled jobs stay, and so do those of other queues."""
    theirs.execute(
        b"insert into public.supaworker_jobs (queue, enabled, attempts, options, payload, created_at) values "
        b"('mail', true, 2, '{\"max_attempts\": 5}', '\"oldest\"', '2024-01-01'), "
        b"('mail', false, 0, null, '1', now()), ('post', true, 0, null, '2', now()), "
        b"('mail', true, 0, null, null, '2024-01-03')"
    )
    theirs.execute(
        b"insert into supaworker.jobs (queue, status, claimed_at, payload, created_at) values "
        b"('mail', 'PENDING', null, '\"second\"', '2024-01-02'), ('mail', 'PENDING', now(), '3', now()), "
        b"('mail', 'SUCCESS', null, '4', now()), ('post', 'PENDING', null, '5', now())"
    )
    assert value(theirs, "select supaworker.bridge('mail')") == 3
    assert value(theirs, "select supaworker.bridge('mail')") == 0
    sent = rows(theirs, "select message, headers -> 'supaworker' as job from pgmq.q_mail order by msg_id")
    assert [each["message"] for each in sent] == ["oldest", "second", None]
    assert sent[0]["job"].items() >= {"table": "supaworker_jobs", "attempts": 2, "queue": "mail"}.items()
    assert sent[0]["job"]["options"] == {"max_attempts": 5}
    assert sent[1]["job"]["table"] == "jobs"
    assert column(theirs, "select payload from public.supaworker_jobs order by payload") == [1, 2]
    assert column(theirs, "select payload from supaworker.jobs order by payload") == [3, 4, 5]


def test_the_bridge_moves_in_batches_into_a_queue_of_another_name(theirs: Database) -> None:
    theirs.execute(b"insert into public.supaworker_jobs (queue) select 'My Mail!' from generate_series(1, 5)")
    moved = [value(theirs, "select supaworker.bridge('My Mail!', 'mail', 2)") for _ in range(4)]
    assert moved == [2, 2, 1, 0]
    assert value(theirs, ALL.format("pgmq.q_mail")) == 5


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("null", "PM003", "queue_name is null"),
        ("'mail', batch => 0", "PM003", "batch is 0"),
        ("'mail', batch => null", "PM003", "batch is null"),
        ("'nowhere'", "PM001", "there is no queue 'nowhere'"),
    ],
)
def test_the_bridge_refuses_in_words(theirs: Database, arguments: str, code: str, says: str) -> None:
    column(theirs, "insert into public.supaworker_jobs (queue) values ('nowhere') returning id")
    with refused(code, says):
        value(theirs, f"select supaworker.bridge({arguments})")
    assert value(theirs, ALL.format("public.supaworker_jobs")) == 1


def test_a_bridge_that_is_killed_has_moved_nothing(theirs: Database, connect: Callable[[], Database]) -> None:
    """Its backend ends after the move and before the commit; the next one moves all."""
    theirs.execute(b"insert into public.supaworker_jobs (queue) select 'mail' from generate_series(1, 10)")
    theirs.execute(b"insert into supaworker.jobs (queue) select 'mail' from generate_series(1, 10)")
    killed = connect()
    killed.execute(b"begin")
    assert value(killed, "select supaworker.bridge('mail', batch => 7)") == 14
    assert value(theirs, "select supaworker.bridge('mail', batch => 1)") == 2, "it passes locked jobs by"
    assert value(theirs, "select pg_terminate_backend($1, 10000)", killed.info.backend_pid)
    assert value(theirs, "select supaworker.bridge('mail')") == 18
    assert value(theirs, ALL.format("pgmq.q_mail")) == 20
    assert value(theirs, "select count(distinct headers) from pgmq.q_mail") == 20


@pytest.mark.parametrize("table", ["public.supaworker_jobs", "supaworker.jobs"])
def test_each_job_goes_one_way_when_the_original_client_dequeues_meanwhile(
    theirs: Database, connect: Callable[[], Database], table: str
) -> None:
    theirs.execute(f"insert into {table} (queue) select 'mail' from generate_series(1, 300)".encode())
    if table == "public.supaworker_jobs":
        run_their_migration(theirs)
    dequeue = f"select id from {table.split('.', maxsplit=1)[0]}.dequeue('mail')"

    def drained(session: Database) -> list[int]:
        found = []
        while job := column(session, dequeue):
            found += job
        return found

    def bridged(session: Database) -> int:
        moved = 0
        while count := value(session, "select supaworker.bridge('mail', batch => 3)"):
            moved += count
        return moved

    with ThreadPoolExecutor(4) as pool:
        taken = [pool.submit(drained, connect()) for _ in range(2)]
        moved = [pool.submit(bridged, connect()) for _ in range(2)]
        dequeued = [job for each in taken for job in each.result()]
        bridges = sum(each.result() for each in moved)
    sent = column(theirs, "select (headers -> 'supaworker' ->> 'id')::bigint from pgmq.q_mail")
    assert len(dequeued) + bridges == 300
    assert len({*dequeued, *sent}) == 300
    assert len(sent) == bridges


def test_nothing_of_it_is_open_to_everybody(theirs: Database, stranger: Database) -> None:
    assert (
        column(
            theirs,
            "select oid::regprocedure from pg_proc where has_function_privilege('public', oid, 'execute') "
            "and (pronamespace = 'supaworker'::regnamespace or oid = 'public.dequeue'::regproc)",
        )
        == []
    )
    for statement in (
        "select * from public.supaworker_jobs",
        "select * from public.supaworker_logs",
        "select * from supaworker.jobs",
        "select supaworker.bridge('mail')",
        "select * from public.dequeue('mail')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute(statement.encode())


def test_a_role_that_may_insert_needs_no_right_on_sequences_and_functions(
    theirs: Database, stranger: Database
) -> None:
    theirs.execute(b"grant insert, select on public.supaworker_jobs to stranger")
    theirs.execute(b"create policy all_of_it on public.supaworker_jobs to stranger using (true)")
    assert len(column(stranger, INSERT, "1")) == 1
    theirs.execute(b"grant usage on schema supaworker to stranger")
    theirs.execute(b"grant execute on function supaworker.bridge to stranger")
    assert value(stranger, "select supaworker.bridge('mail')") == 1


@pytest.mark.parametrize("table", ["public.supaworker_jobs", "supaworker.jobs"])
def test_rows_are_never_dropped(theirs: Database, table: str) -> None:
    theirs.execute(f"insert into {table} (queue) values ('mail')".encode())
    with pytest.raises(Refused, match="supaworker is in use; nothing was changed") as refusal:
        remove_facades(theirs, [named("supaworker")])
    assert f"Rows are in {table}, and rows are never dropped." in str(refusal.value)
    assert value(theirs, ALL.format(table)) == 1
    theirs.execute(f"delete from {table}".encode())
    remove_facades(theirs, [named("supaworker")])
    assert value(theirs, "select to_regclass($1)", table) is None


@pytest.mark.parametrize("order", ["before", "after"])
def test_what_their_migration_made_outlives_the_facade(db: Database, order: str) -> None:
    """Their rows, their function and their comment stay; only our trigger goes."""
    if order == "before":
        run_their_migration(db)
        db.execute(b"comment on table public.supaworker_jobs is 'jobs of the shop'")
        install(db)
    else:
        install(db)
        run_their_migration(db)
    column(db, INSERT, "1")
    remove_facades(db, [named("supaworker")])
    assert value(db, "select to_regnamespace('supaworker')") is None
    comment = value(db, "select obj_description('public.supaworker_jobs'::regclass)")
    assert comment == ("jobs of the shop" if order == "before" else None)
    column(db, INSERT, "2")
    assert [value(db, "select payload from public.dequeue('mail')") for _ in range(2)] == [1, 2]
    assert value(db, ALL.format("public.supaworker_logs")) == 0
    install(db)
