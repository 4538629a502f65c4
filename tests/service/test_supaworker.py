"""``Supaworker(queue, handler)``: drains, sleeps until it is told, retries, cuts off, logs, and stops."""

from __future__ import annotations

import asyncio
import os
import queue as queues
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from postmill import Context, Retry, Snooze, Supaworker, SupaworkerJob
from postmill.model.errors import (
    AlreadyStarted,
    DatabaseUnavailable,
    InvalidHandler,
    InvalidOption,
    InvalidPayload,
    InvalidQueueName,
    SchemaMissing,
)
from postmill.project import once_up
from tests.service import in_child
from tests.service.running import GIVE_UP_S
from tests.service.scripts import scripts
from tests.sql.asking import Database, column, rows, value
from tests.sql.supaworker import install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
Script = subprocess.Popen[str]
AT_ONCE = Retry.fixed(0)
LOGS = "select status from public.supaworker_logs order by created_at, status desc"
FIRST = "insert into public.supaworker_jobs (queue, attempts, options, payload) values ('mail', $1, $2, $3)"


@pytest.fixture
def facade(db: Database) -> Database:
    """A session on a database that has the facade, and a queue for its jobs."""
    db.execute(b"select postmill.create_queue('mail')")
    return install(db)


@pytest.fixture
def make(database_url: str, facade: Database) -> Callable[..., Supaworker]:
    """Makes a Supaworker on the test's database."""
    return lambda handler, **options: Supaworker(
        "mail", handler, **{"db_url": database_url, "retry": AT_ONCE, **options}
    )


@pytest.fixture
def script(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Script]]:
    """Runs a program of a user's, with arguments, on the test's database."""
    with scripts(tmp_path, database_url, stderr=subprocess.DEVNULL) as begin:
        yield begin


@contextmanager
def started(worker: Supaworker) -> Iterator[threading.Thread]:
    """Run it in a thread, and stop it."""
    thread = threading.Thread(target=worker.start)
    thread.start()
    try:
        yield thread
    finally:
        worker.stop()
        thread.join(GIVE_UP_S)
        assert not thread.is_alive()


def until(db: Database, condition: str) -> None:
    """Wait for what only the database shows."""
    ends_at = time.monotonic() + GIVE_UP_S
    while not value(db, f"select {condition}"):
        assert time.monotonic() < ends_at, condition
        time.sleep(0.02)


def idle(db: Database) -> None:
    """Wait until the worker has nothing to do."""
    until(db, "exists (select from postmill.idle_workers where queue_name = 'mail')")


def seen_by(place: queues.Queue[Any]) -> Any:
    """What a handler has put there."""
    return place.get(timeout=GIVE_UP_S)


def test_it_drains_and_then_sleeps_until_it_is_told(
    make: Callable[..., Supaworker], facade: Database
) -> None:
    """The longest rest is a minute: what comes sooner was told of."""
    ran: queues.Queue[SupaworkerJob] = queues.Queue()

    async def handler(job: SupaworkerJob) -> None:
        ran.put(job)

    worker = make(handler, max_poll_seconds=60)
    enqueued = worker.enqueue_jobs([{"payload": {"to": name}} for name in ("ada", "bob")])
    facade.execute(FIRST.encode(), [0, None, '"grace"'])
    with started(worker):
        jobs = sorted((seen_by(ran) for _ in range(3)), key=lambda job: job.id)
        assert [(job.table, job.payload, job.attempts) for job in jobs] == [
            ("jobs", {"to": "ada"}, 1),
            ("jobs", {"to": "bob"}, 1),
            ("supaworker_jobs", "grace", 1),
        ]
        assert [job.id for job in jobs[:2]] == [job.id for job in enqueued]
        assert [job.created_at for job in jobs[:2]] == [job.created_at for job in enqueued]
        for insert in (FIRST, "insert into supaworker.jobs (queue, payload) values ('mail', $3)"):
            idle(facade)
            facade.execute(insert.replace("$3", "'\"later\"'").replace("$1, $2", "0, null").encode())
            assert seen_by(ran).payload == "later"
        until(facade, "(select count(*) = 5 from public.supaworker_logs)")
    assert column(facade, LOGS) == ["success"] * 5
    assert column(facade, "select status from supaworker.logs") == ["SUCCESS"] * 3


def test_a_job_that_fails_is_tried_so_many_times_and_each_is_logged(
    make: Callable[..., Supaworker], facade: Database
) -> None:
    ran: queues.Queue[int] = queues.Queue()

    def handler(job: SupaworkerJob) -> None:
        ran.put(job.attempts)
        raise ValueError("no such address")

    worker = make(handler, max_attempts=3)
    (job,) = worker.enqueue_jobs([{"payload": 1}])
    with started(worker):
        until(facade, "exists (select from postmill.dead_letters)")
    assert [ran.get_nowait() for _ in range(3)] == [1, 2, 3]
    assert column(facade, LOGS) == ["retry", "retry", "failure"]
    logs = rows(facade, "select job_id, status, error from supaworker.logs order by id")
    assert [log["status"] for log in logs] == ["RETRY", "RETRY", "ERROR"]
    assert {log["job_id"] for log in logs} == {job.id}
    assert logs[0]["error"]["message"] == "no such address"
    assert "in handler" in logs[0]["error"]["stack"]
    logged = column(facade, "select job from public.supaworker_logs order by created_at")
    assert [each["attempts"] for each in logged] == [1, 2, 3]
    assert set(logged[0]) == {"id", "queue", "attempts", "created_at", "payload"}


def test_the_jobs_own_options_and_earlier_attempts_count(
    make: Callable[..., Supaworker], facade: Database
) -> None:
    ran: queues.Queue[tuple[Any, int]] = queues.Queue()

    async def handler(job: SupaworkerJob) -> None:
        ran.put((job.payload, job.attempts))
        raise ValueError

    for payload, attempts, options in (
        ('"own"', 0, '{"max_attempts": 2}'),
        ('"some before"', 3, None),
        ('"too many before"', 9, None),
        ('"odd"', 3, '{"max_attempts": "many"}'),
    ):
        facade.execute(FIRST.encode(), [attempts, options, payload])
    with started(make(handler, max_attempts=4)):
        until(facade, "(select count(*) = 4 from postmill.dead_letters)")
    assert sorted(ran.get_nowait() for _ in range(ran.qsize())) == [
        ("odd", 4),
        ("own", 1),
        ("own", 2),
        ("some before", 4),
        ("too many before", 10),
    ]


def test_what_is_no_failure_is_not_logged(make: Callable[..., Supaworker], facade: Database) -> None:
    slept: list[int] = []

    async def handler(job: SupaworkerJob) -> None:
        if not slept:
            slept.append(job.attempts)
            raise Snooze(0)
        assert job.attempts == 1

    worker = make(handler)
    worker.enqueue_jobs([{}])
    with started(worker):
        until(facade, "exists (select from pgmq.a_mail)")
    assert column(facade, LOGS) == ["success"]


def test_a_handlers_transaction_completes_the_job_and_logs_it_once(
    make: Callable[..., Supaworker], facade: Database
) -> None:
    facade.execute(b"create table sent (id bigint)")

    async def handler(job: SupaworkerJob, ctx: Context) -> None:
        async with ctx.transaction() as transaction:
            await transaction.execute("insert into sent values ($1)", job.id)

    worker = make(handler)
    worker.enqueue_jobs([{}])
    with started(worker):
        until(facade, "exists (select from pgmq.a_mail)")
    assert column(facade, "select id from sent") == [1]
    assert column(facade, LOGS) == ["success"]


def test_logs_can_be_turned_off(make: Callable[..., Supaworker], facade: Database) -> None:
    def handler(job: SupaworkerJob) -> None:
        assert job.payload

    worker = make(handler, max_attempts=1, enable_logs=False)
    worker.enqueue_jobs([{"payload": True}, {"payload": False}])
    with started(worker):
        until(facade, "exists (select from pgmq.a_mail) and exists (select from postmill.dead_letters)")
    assert column(facade, LOGS) == []


def test_a_coroutine_is_cancelled_at_the_time_limit(
    make: Callable[..., Supaworker], facade: Database
) -> None:
    cancelled: queues.Queue[int] = queues.Queue()

    async def handler(job: SupaworkerJob) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.put(job.attempts)
            raise

    worker = make(handler, max_attempts=2, job_timeout_ms=100)
    worker.enqueue_jobs([{}])
    with started(worker):
        until(facade, "exists (select from postmill.dead_letters)")
    assert [cancelled.get_nowait() for _ in range(2)] == [1, 2]
    assert column(facade, LOGS) == ["retry", "failure"]
    assert (
        column(facade, "select error ->> 'message' from supaworker.logs") == ["still running after 0.1 s"] * 2
    )


def test_a_plain_function_is_killed_at_the_time_limit(
    make: Callable[..., Supaworker], facade: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread could not be: so it runs in a process, which dies with it; the next job gets another one."""
    monkeypatch.syspath_prepend(str(ROOT))
    worker = make(in_child.handle_job, max_attempts=1, job_timeout_ms=3000, keep_results=True)
    worker.enqueue_jobs([{"payload": what} for what in ("pid", "hang", "pid")])
    with started(worker):
        until(facade, "(select count(*) = 2 from pgmq.a_mail)")
    first, second = column(facade, "select result from postmill.results order by msg_id")
    assert first != second
    for pid in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert sorted(column(facade, LOGS)) == ["failure", "success", "success"]


def test_a_plain_function_that_no_process_can_import_has_no_time_limit() -> None:
    """It is refused, and not run in a thread that goes on after its limit; unless it is asked for."""

    def handler(job: SupaworkerJob) -> None: ...

    with pytest.raises(InvalidHandler, match="can't be run in another process"):
        Supaworker("mail", handler, job_timeout_ms=100)
    assert Supaworker("mail", handler, job_timeout_ms=100, executor="inline").options.timeout_s == 0.1


def test_stop_waits_for_the_job_that_runs(make: Callable[..., Supaworker], facade: Database) -> None:
    at_it, may_end = threading.Event(), threading.Event()

    def handler(job: SupaworkerJob) -> None:
        at_it.set()
        assert may_end.wait(GIVE_UP_S)

    worker = make(handler)
    worker.enqueue_jobs([{}, {}])
    with started(worker):
        assert at_it.wait(GIVE_UP_S)
        stopping = [threading.Thread(target=worker.stop) for _ in range(2)]
        for each in stopping:
            each.start()
            each.join(0.2)
            assert each.is_alive()
        may_end.set()
        for each in stopping:
            each.join(GIVE_UP_S)
            assert not each.is_alive()
        assert value(facade, "select count(*) from pgmq.a_mail") == 1
        assert value(facade, "select count(*) from postmill.claims") == 0
    worker.stop()


@pytest.mark.parametrize("kind", ["async", "plain"])
def test_a_handler_may_stop_its_worker(make: Callable[..., Supaworker], facade: Database, kind: str) -> None:
    """It would wait for itself otherwise."""
    made: list[Supaworker] = []

    def plain(_job: SupaworkerJob) -> None:
        made[0].stop()

    async def on_the_loop(_job: SupaworkerJob) -> None:
        made[0].stop()

    made.append(make(on_the_loop if kind == "async" else plain))
    made[0].enqueue_jobs([{}])
    thread = threading.Thread(target=made[0].start)
    thread.start()
    thread.join(GIVE_UP_S)
    assert not thread.is_alive()
    assert value(facade, "select count(*) from pgmq.a_mail") == 1


def test_one_that_is_stopped_before_it_is_up_ends(
    make: Callable[..., Supaworker], facade: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting, may_go_on = threading.Event(), threading.Event()

    def prepare(*_: object) -> None:
        connecting.set()
        assert may_go_on.wait(GIVE_UP_S)

    monkeypatch.setattr(once_up, "prepare", prepare)
    worker = make(print)
    worker.enqueue_jobs([{}])
    with started(worker):
        assert connecting.wait(GIVE_UP_S)
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        stopping.join(0.2)
        assert stopping.is_alive()
        may_go_on.set()
        stopping.join(GIVE_UP_S)
    assert value(facade, "select count(*) from pgmq.a_mail") == 0


def test_one_in_a_thread_says_that_its_database_is_away(
    make: Callable[..., Supaworker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have waited for it, and no `stop` could have ended that."""
    told: queues.Queue[str] = queues.Queue()

    def prepare(*_: object) -> None:
        raise DatabaseUnavailable("away")

    def start() -> None:
        try:
            worker.start()
        except DatabaseUnavailable as error:
            told.put(str(error))

    monkeypatch.setattr(once_up, "prepare", prepare)
    worker = make(print)
    threading.Thread(target=start, daemon=True).start()
    assert "away" in told.get(timeout=GIVE_UP_S)


def test_two_workers_of_one_process_stop_one_by_one(database_url: str, facade: Database) -> None:
    ran: queues.Queue[str] = queues.Queue()
    first, second = (
        Supaworker(name, lambda job: ran.put(job.queue), db_url=database_url) for name in ("mail", "post")
    )
    with started(second):
        with started(first):
            first.enqueue_jobs([{}])
            assert seen_by(ran) == "mail"
        first.enqueue_jobs([{"queue": "post"}])
        assert seen_by(ran) == "post"


def test_it_starts_once_at_a_time_and_again_after_its_end(
    make: Callable[..., Supaworker], facade: Database
) -> None:
    ran: queues.Queue[Any] = queues.Queue()
    worker = make(lambda job: ran.put(job.payload))
    for payload in ("one", "two"):
        worker.enqueue_jobs([{"payload": payload}])
        with started(worker):
            assert seen_by(ran) == payload
            with pytest.raises(AlreadyStarted, match="runs already"):
                worker.start()


def test_a_process_that_is_killed_loses_nothing(script: Callable[..., Script], facade: Database) -> None:
    """The job that ran runs again, for another process; the others run once."""
    source = (
        "import sys, time\nfrom postmill import Supaworker\n"
        "def handle(job):\n"
        "    print('ran', job.payload, flush=True)\n"
        "    if job.payload == 5 and sys.argv[1:] == ['hangs']:\n        time.sleep(3600)\n"
        "Supaworker('mail', handle, visibility_timeout=1, max_deliveries=5).start()\n"
    )
    facade.execute(
        b"insert into public.supaworker_jobs (queue, payload) "
        b"select 'mail', to_jsonb(n) from generate_series(1, 10) as n"
    )
    killed = script(source, "hangs")
    assert killed.stdout is not None
    ran = [next(line for line in killed.stdout if line.startswith("ran")) for _ in range(5)]
    killed.kill()
    killed.communicate()
    second = script(source)
    until(facade, "(select count(*) = 10 from pgmq.a_mail)")
    second.send_signal(signal.SIGTERM)
    output, _ = second.communicate(timeout=GIVE_UP_S)
    ran += [line for line in output.splitlines(keepends=True) if line.startswith("ran")]
    assert sorted(int(line.split()[1]) for line in ran) == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10]
    assert column(facade, LOGS) == ["success"] * 10


def test_the_process_of_a_job_starts_no_second_worker(
    script: Callable[..., Script], facade: Database, tmp_path: Path
) -> None:
    """It imports the script, which starts the worker without asking whether it is the main module."""
    (tmp_path / "mails.py").write_text("def send(job):\n    return job.payload\n")
    facade.execute(b"insert into supaworker.jobs (queue, payload) values ('mail', '1')")
    script(
        "from mails import send\nfrom postmill import Supaworker\n"
        "Supaworker('mail', send, job_timeout_ms=60_000, keep_results=True).start()\n"
    )
    until(facade, "exists (select from postmill.results where result = '1')")
    assert value(facade, "select count(*) from postmill.workers") == 1


def test_jobs_are_enqueued_in_the_callers_transaction(
    make: Callable[..., Supaworker], facade: Database
) -> None:
    worker = make(print)
    with psycopg.connect(facade.info.dsn) as connection:
        (job,) = worker.enqueue_jobs([{"payload": "rolled back"}], connection=connection)
        assert (job.queue, job.payload, job.attempts, job.table) == ("mail", "rolled back", 0, "jobs")
        connection.rollback()
    assert [job.queue for job in worker.enqueue_jobs([{"queue": "post"}, {}])] == ["post", "mail"]
    assert worker.enqueue_jobs([]) == []
    assert column(facade, "select queue from supaworker.jobs order by id") == ["post", "mail"]


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"paylod": 1}, "has no field 'paylod'.*Did you mean payload"),
        ({"payload": float("nan")}, "NaN|finite"),
    ],
)
def test_a_job_that_is_none_is_refused_and_none_is_inserted(
    make: Callable[..., Supaworker], facade: Database, job: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidPayload, match=says):
        make(print).enqueue_jobs([{"payload": 1}, job])
    with pytest.raises(InvalidQueueName):
        make(print).enqueue_jobs([{"payload": 1}, {"queue": None}])
    assert value(facade, "select count(*) from supaworker.jobs") == 0


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"max_attempts": 0}, InvalidOption, "max_attempts=0 is out of range"),
        ({"job_timeout_ms": 1.5}, InvalidOption, "job_timeout_ms=1.5 is out of range"),
        ({"concurrency": 0}, InvalidOption, "concurrency=0 is out of range"),
        ({"max_concurrent": 3}, InvalidOption, "no option 'max_concurrent'.*concurrency"),
        ({"timeout": 3}, InvalidOption, "no option 'timeout'.*job_timeout_ms"),
        ({"max_tries": 3}, InvalidOption, "There is no worker option 'max_tries'"),
        ({"queue": ""}, InvalidQueueName, "'' is not the name of a queue"),
        ({"queue": 7, "target": "mail"}, InvalidQueueName, "7 is not the name of a queue"),
        ({"target": "My Mail"}, InvalidQueueName, "'My Mail' is not a queue name"),
    ],
)
def test_options_are_refused_in_words(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Supaworker(**{"queue": "mail", "handler": print, **options})


def test_a_name_that_no_queue_of_postmill_can_have_needs_a_target(
    database_url: str, facade: Database
) -> None:
    ran: queues.Queue[Any] = queues.Queue()
    worker = Supaworker("My Mail!", lambda job: ran.put(job.queue), db_url=database_url, target="mail")
    worker.enqueue_jobs([{}])
    with started(worker):
        assert seen_by(ran) == "My Mail!"


def test_without_the_facade_it_says_what_to_run(database_url: str, db: Database) -> None:
    worker = Supaworker("mail", print, db_url=database_url)
    for action in (worker.start, lambda: worker.enqueue_jobs([{}])):
        with pytest.raises(SchemaMissing, match="postmill migrate --facade supaworker"):
            action()
    worker.stop()


def test_messages_that_no_bridge_has_moved_are_jobs_too(
    make: Callable[..., Supaworker], facade: Database
) -> None:
    """And what JSON can say and Python can't write is logged as it came."""
    ran: queues.Queue[SupaworkerJob] = queues.Queue()
    (msg_id,) = column(facade, "select postmill.send('mail', to_jsonb(power(2::numeric, 70)))")
    with started(make(ran.put)):
        job = seen_by(ran)
        until(facade, "exists (select from public.supaworker_logs)")
    assert (job.id, job.queue, job.attempts, job.table, job.payload) == (msg_id, "mail", 1, "", 2**70)
    logged = value(facade, "select job::text from public.supaworker_logs")
    assert str(2**70) in logged
    assert value(facade, "select count(*) from supaworker.logs") == 0


def test_a_header_that_no_bridge_writes_is_a_failure_in_words(
    make: Callable[..., Supaworker], facade: Database
) -> None:
    facade.execute(b"""select postmill.send('mail', '1', headers => '{"supaworker": {"id": "x"}}')""")
    with started(make(print)):
        until(facade, "exists (select from postmill.dead_letters)")
    assert "is not what supaworker.bridge writes" in value(facade, "select reason from postmill.dead_letters")


def test_a_log_that_can_not_be_written_keeps_the_jobs_own_error(
    make: Callable[..., Supaworker], facade: Database
) -> None:
    facade.execute(b"drop table public.supaworker_logs")

    async def handler(job: SupaworkerJob) -> None:
        raise ValueError("its own")

    worker = make(handler, max_attempts=1)
    worker.enqueue_jobs([{}])
    with started(worker):
        until(facade, "exists (select from postmill.dead_letters)")
    assert "its own" in value(facade, "select reason from postmill.dead_letters")
