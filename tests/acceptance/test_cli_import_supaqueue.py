"""``postmill import supaqueue``: jobs that wait, their order, their queues and workers, out of its tables."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from postmill.db.tools.imports.report import LEFT_BEHIND
from tests.acceptance.importing import HELD_UP, column, held_up, lines, wait_until_held_up
from tests.servers import cloned_database, session

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from postmill.embedded import Server
    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]

TABLES = """
    create schema old;
    create type old.job_status as enum ('pending', 'in_progress', 'success', 'failed');
    create table old.queue (
        id uuid primary key, created_at timestamptz not null default now(),
        edge_function_name text not null,
        default_headers jsonb not null default '{}', method text not null default 'POST',
        name text not null default '');
    create table old.worker (
        id uuid primary key default gen_random_uuid(), created_at timestamptz not null default now(),
        locked boolean not null default false, queue uuid not null references old.queue on delete cascade);
    create table old.job (
        id uuid primary key, created_at timestamptz not null default now(),
        queue uuid not null references old.queue on delete cascade, payload jsonb not null default '{}',
        attempts integer not null default 0, status old.job_status default 'pending',
        updated_at timestamptz not null default clock_timestamp());
    create table old.job_dependencies (
        created_at timestamptz not null default now(),
        source uuid not null references old.job on delete cascade,
        target uuid not null references old.job on delete cascade, primary key (source, target))
"""
QUEUES = {"resize": 1, "publish": 2, "My queue": 3}
WAITING = [(number, "resize", "pending", 0) for number in range(1, 7)]
PIPELINE = [(7, "publish", "pending", 2), (8, "publish", "pending", 0), (12, "publish", "pending", 0)]
STAYING = [
    (9, "resize", "in_progress", 1),
    (10, "publish", "pending", 0),
    (11, "resize", "success", 1),
    (13, "resize", "pending", 0),
    (14, "resize", "pending", 0),
    (15, "resize", "pending", 3),
    (16, "My queue", "pending", 0),
    (17, "resize", None, 0),
]
DEPENDENCIES = [(1, 7), (2, 7), (7, 8), (9, 10), (11, 12), (13, 14), (14, 13)]
LEFT = [
    ("job", "My queue", "left", 1),
    ("job", "publish", "left", 1),
    *[("job", "resize", "left", count) for count in (1, 1, 1, 1, 2)],
    ("queue", "My queue", "left", 1),
]
RESIZE = "select message::int as number from pgmq.q_resize order by msg_id"
PUBLISH = "select message::int as number from pgmq.q_publish order by msg_id"


def uuid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


def fill(db: Database) -> None:
    """Supaqueue's tables in the schema ``old``, with the jobs above; a payload is the job's number."""
    for statement in TABLES.split(";"):
        db.execute(statement.encode())
    for name, number in QUEUES.items():
        add = b"insert into old.queue (id, edge_function_name, name, default_headers) values ($1, $2, $3, $4)"
        named = "" if name == "publish" else name
        db.execute(add, [uuid(number), name.replace(" ", "-"), named, '{"accept": "image/png"}'])
    for _ in range(2):
        db.execute(b"insert into old.worker (queue) values ($1)", [uuid(QUEUES["resize"])])
    for number, queue, status, attempts in (*WAITING, *PIPELINE, *STAYING):
        db.execute(
            b"insert into old.job (id, queue, payload, status, attempts) values ($1, $2, $3, $4, $5)",
            [uuid(number), uuid(QUEUES[queue]), str(number), status, attempts],
        )
    for source, target in DEPENDENCIES:
        db.execute(
            b"insert into old.job_dependencies (source, target) values ($1, $2)", [uuid(source), uuid(target)]
        )


@pytest.fixture
def there_url(shared_server: Server) -> Iterator[str]:
    """Another database with Supaqueue."""
    with cloned_database(shared_server.url) as url:
        with session(url) as there:
            fill(there)
        yield url


@pytest.fixture(params=["here", "there"])
def command(request: pytest.FixtureRequest, db: Database) -> tuple[str, ...]:
    """The import from a schema of this database, and from another database."""
    base = ("import", "supaqueue", "--schema", "old", "--batch", "2", "--json")
    if request.param == "here":
        fill(db)
        return base
    return (*base, "--from", request.getfixturevalue("there_url"))


def check_arrived(db: Database) -> None:
    """Every job that waited is there once, and waits for what it waited for."""
    assert sorted(column(db, RESIZE)) == list(range(1, 7))
    assert sorted(column(db, PUBLISH)) == [7, 8, 12]
    edges = """
        select concat(source.message, ' before ', target.message) as edge
        from postmill.edges as edge
        join (select 'resize' as queue, msg_id, message from pgmq.q_resize
              union all select 'publish', msg_id, message from pgmq.q_publish) as source
          on (source.queue, source.msg_id) = (edge.source_queue, edge.source_id)
        join pgmq.q_publish as target on edge.target_queue = 'publish' and target.msg_id = edge.target_id
        order by edge
    """
    assert column(db, edges) == ["1 before 7", "2 before 7", "7 before 8"]


def test_a_dry_run_says_what_the_run_then_does(cli: Cli, db: Database, command: tuple[str, ...]) -> None:
    dry = cli(*command)
    todo = [("job", "publish", 3), ("job", "resize", 6), ("queue", "publish", 1), ("queue", "resize", 1)]
    todo.append(("job_dependencies", "publish", 3))
    assert lines(dry) == sorted([*LEFT, *[(kind, name, "to do", count) for kind, name, count in todo]])
    assert {each["why"] for each in dry.json if each["outcome"] == "left"} == {
        "no name that a queue can have: give it another one there",
        "its queue is left",
        "in progress: let it end, or set it to pending",
        "waits for a job that is left",
        "ended: success",
        "in a ring of jobs that wait for each other, or behind one",
        "its attempts are used up",
        "held back: its status is null",
    }
    assert column(db, "select count(*) from pgmq.meta") == [0]
    done = cli(*command, "--run")
    assert lines(done) == sorted([*LEFT, *[(kind, name, "done", count) for kind, name, count in todo]])
    check_arrived(db)
    again = cli(*command, "--run")
    assert [each for each in again.json if each["outcome"] == "done"] == []
    check_arrived(db)


def test_queues_call_the_function_with_as_many_workers(
    cli: Cli, db: Database, command: tuple[str, ...]
) -> None:
    """The facade shows the queue without workers as Supaqueue had it: it is paused for that reason."""
    assert cli(*command, "--run").code == 0
    assert cli("migrate", "--facade", "supaqueue").code == 0
    shown = db.execute(
        b"select name, edge_function_name, default_headers, (select count(*) from supaqueue.worker"
        b" where worker.queue = queue.id) as workers from supaqueue.queue order by name"
    ).fetchall()
    headers = {"accept": "image/png"}
    assert [tuple(each.values()) for each in shown] == [
        ("publish", "publish", headers, 0),
        ("resize", "resize", headers, 2),
    ]
    origin = column(db, "select headers -> 'imported' from pgmq.q_publish where message = '7'")[0]
    assert (origin["from"], origin["id"], origin["attempts"]) == ("old.job", uuid(7), 2)


def test_what_is_moved_is_gone_there_and_nothing_else(cli: Cli, db: Database) -> None:
    fill(db)
    assert cli("import", "supaqueue", "--schema", "old", "--run").code == 0
    numbers = column(db, "select payload::int as number from old.job order by number")
    assert numbers == sorted(number for number, *_ in STAYING)


@pytest.mark.parametrize("backend_dies_too", [False, True])
def test_killed_inside_a_batch_and_run_again(
    cli: Cli,
    db: Database,
    command: tuple[str, ...],
    spawn: Any,
    database_url: str,
    backend_dies_too: bool,
) -> None:
    db.execute(b"select postmill.create_call_queue('resize', function => 'resize')")
    with held_up(db, "pgmq.q_resize", "4"):
        process = spawn(*command, "--run", env={"POSTMILL_DB_URL": database_url})
        backend = wait_until_held_up(db, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert column(db, RESIZE) == ([1, 2] if "--from" in command else [])
        if backend_dies_too:
            db.execute(b"select pg_terminate_backend($1, 10000)", [backend])
    assert cli(*command, "--run").code == 0
    check_arrived(db)


def test_a_job_that_supaqueue_begins_meanwhile_is_left_and_so_is_what_waits_for_it(
    db: Database, there_url: str, spawn: Any, database_url: str
) -> None:
    db.execute(b"select postmill.create_call_queue('resize', function => 'resize')")
    command = (
        "import",
        "supaqueue",
        "--schema",
        "old",
        "--from",
        there_url,
        "--batch",
        "2",
        "--json",
        "--run",
    )
    with session(there_url) as there, held_up(db, "pgmq.q_resize", "4"):
        there.execute(
            b"insert into old.job_dependencies (source, target) values ($1, $2)", [uuid(6), uuid(12)]
        )
        process = spawn(*command, env={"POSTMILL_DB_URL": database_url})
        wait_until_held_up(db, process)
        there.execute(b"update old.job set status = 'in_progress' where id = $1", [uuid(6)])
    report = json.loads(process.communicate(timeout=30)[0])
    assert (column(db, RESIZE), column(db, PUBLISH)) == ([1, 2, 3, 4, 5], [7, 8])
    behind = [(each["queue"], each["count"]) for each in report if each["why"] == LEFT_BEHIND]
    assert sorted(behind) == [("publish", 1), ("resize", 1)]


def test_two_imports_at_once(
    cli: Cli, db: Database, command: tuple[str, ...], spawn: Any, database_url: str
) -> None:
    db.execute(b"select postmill.create_call_queue('resize', function => 'resize')")
    with held_up(db, "pgmq.q_resize", "4"):
        both = [spawn(*command, "--run", env={"POSTMILL_DB_URL": database_url}) for _ in range(2)]
        while len(column(db, HELD_UP)) < 2:
            assert [each.poll() for each in both] == [None, None]
    for each in both:
        assert each.wait(30) == 0, each.communicate()
    check_arrived(db)


@pytest.mark.parametrize(
    ("schema", "code", "says"),
    [("none", "not-found", "There is no table"), ("supaqueue", "refused", "It is a view.")],
)
def test_where_no_supaqueue_is(cli: Cli, schema: str, code: str, says: str) -> None:
    """The facade's views would be read as Supaqueue's tables, and its jobs be sent again."""
    assert cli("migrate", "--facade", "supaqueue").code == 0
    refusal = cli("import", "supaqueue", "--schema", schema)
    assert (refusal.error_code, says in refusal.err, "--schema" in refusal.err) == (code, True, True)
