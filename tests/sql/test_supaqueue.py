"""The facade supaqueue: the statements of its readme and of its add-on, and what people do to it by hand."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest

from postmill.db.tools.facades import named
from postmill.db.tools.migrate import migrate, remove_facades
from tests.sql.asking import Database, bury, column, fail, refused, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

STATUS = "select status::text from supaqueue.job where id = $1"
WORKERS = "select id from supaqueue.worker where queue = $1 order by id"
PAGE = Path(__file__).parents[2] / "docs" / "coming-from" / "supaqueue.md"
LIMIT = "select max_running from postmill.queues where queue_name = $1"


@pytest.fixture
def db(db: Database) -> Database:
    migrate(db, wanted=[named("supaqueue")])
    return db


@pytest.fixture
def images(db: Database) -> UUID:
    return added_queue(db, "images")


def added_queue(db: Database, name: str) -> UUID:
    made: UUID = value(
        db, "insert into supaqueue.queue (name, edge_function_name) values ($1, 'resize') returning id", name
    )
    return made


def added(db: Database, queue: UUID, columns: str = "payload", values: str = """'{"n": 1}'""") -> UUID:
    job: UUID = value(
        db, f"insert into supaqueue.job (queue, {columns}) values ($1, {values}) returning id", queue
    )
    return job


def number(job: UUID) -> int:
    """The id of the job's message."""
    return job.int & ((1 << 60) - 1)


def depend(db: Database, source: UUID, target: UUID) -> None:
    db.execute(b"insert into supaqueue.job_dependencies (source, target) values ($1, $2)", [source, target])


def start(db: Database, job: UUID, queue: str = "images") -> None:
    """Take a job as a worker's claim does: its gate names the claim."""
    claim_id = value(
        db,
        f"""with taken as (
            update pgmq.q_{queue} set read_ct = read_ct + 1, vt = clock_timestamp() + interval '1 hour'
            where msg_id = $1 returning msg_id, read_ct)
        insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)
        select gen_random_uuid(), '{queue}', array[msg_id], array[read_ct] from taken returning claim_id""",
        number(job),
    )
    db.execute(
        b"update postmill.gates set claim_id = $1 where queue_name = $2 and msg_id = $3",
        [claim_id, queue, number(job)],
    )


def complete(db: Database, job: UUID, queue: str = "images") -> None:
    """End a job that runs, in the name of its function."""
    db.execute(
        b"select public.end_current_job(id, true, true) from supaqueue.current_job where job = $1", [job]
    )
    assert value(db, STATUS, job) == "success"


def kill(db: Database, job: UUID, queue: str = "images") -> None:
    """Let a job die, as a worker does after its last attempt."""
    fail(db, queue, number(job), "HTTP 500")
    bury(db, queue, number(job))
    db.execute(f"delete from pgmq.q_{queue} where msg_id = $1".encode(), [number(job)])
    db.execute(b"delete from postmill.gates where queue_name = $1 and msg_id = $2", [queue, number(job)])
    db.execute(b"select postmill.release($1, array[$2::bigint], 'dead')", [queue, number(job)])


def test_a_queue_is_made_with_a_function_and_stands_as_supaqueue_shows_it(db: Database) -> None:
    made = row(
        db,
        "insert into supaqueue.queue (name, edge_function_name, default_headers) "
        """values ('images', 'resize', '{"X-From": "us"}') returning *""",
    )
    assert " ".join(made) == "id created_at edge_function_name default_headers name"
    assert row(db, "select * from supaqueue.queue") == made
    assert row(db, "select queue, function, workers from postmill.call_queue_list") == {
        "queue": "images",
        "function": "resize",
        "workers": 1,
    }


def test_a_queue_without_a_name_has_its_functions(db: Database) -> None:
    db.execute(b"insert into supaqueue.queue (edge_function_name) values ('send-mail')")
    assert column(db, "select name from supaqueue.queue") == ["send-mail"]


def test_the_readmes_insert_is_a_message_of_its_queue(db: Database, images: UUID) -> None:
    job = row(
        db,
        f"insert into supaqueue.job (queue, payload) values ('{images}', "
        """'{"arg1": "val"}'::jsonb) returning *""",
    )
    assert " ".join(job) == "id created_at queue payload attempts status updated_at"
    assert row(db, "select * from supaqueue.job where id = $1", job["id"]) == job
    assert (job["attempts"], job["status"], job["payload"]) == (0, "pending", {"arg1": "val"})
    assert row(db, "select message, state from postmill.messages('images')") == {
        "message": {"arg1": "val"},
        "state": "waiting",
    }


def test_an_id_says_its_queue_and_its_message_also_of_a_queue_that_is_made_again(
    db: Database, images: UUID
) -> None:
    """Ids of messages begin at 1 in a queue that is made again: the first job had meant the new queue's."""
    first = added(db, images)
    assert number(first) == 1
    db.execute(b"select postmill.drop_queue('images')")
    again = added(db, added_queue(db, "images"))
    assert number(again) == 1
    assert again != first
    assert column(db, "select id from supaqueue.job") == [again]


def test_workers_are_the_queues_limit_and_without_one_it_is_paused(db: Database, images: UUID) -> None:
    paused = "select pause_reason from postmill.queues where queue_name = 'images'"
    assert value(db, paused) == "it has no worker in supaqueue.worker"
    assert column(db, WORKERS, images) == []
    for workers in (1, 2, 3):
        worker = row(db, "insert into supaqueue.worker (queue) values ($1) returning *", images)
        assert " ".join(worker) == "id created_at locked queue"
        assert (value(db, LIMIT, "images"), value(db, paused)) == (workers, None)
        assert row(db, "select * from supaqueue.worker where id = $1", worker["id"]) == worker
    db.execute(b"delete from supaqueue.worker where queue = $1", [images])
    assert value(db, paused) == "it has no worker in supaqueue.worker"
    assert column(db, WORKERS, images) == []


def test_workers_are_removed_one_by_one_by_ids_that_were_read_before(db: Database, images: UUID) -> None:
    """With ids that were counted anew, the first removal had taken the last id away: another was left."""
    insert = "insert into supaqueue.worker (queue) select $1::uuid from generate_series(1, 4) returning id"
    ids = column(db, insert, images)
    for removed in (1, 2, 3):
        db.execute(b"delete from supaqueue.worker where id = $1", [ids[removed - 1]])
        assert column(db, WORKERS, images) == sorted(ids[removed:])
        assert value(db, LIMIT, "images") == 4 - removed


def test_workers_follow_a_limit_that_was_set_otherwise(db: Database, images: UUID) -> None:
    db.execute(b"insert into supaqueue.worker (queue) values ($1)", [images])
    db.execute(b"select postmill.limit_queue('images', 3, starts => 10, per => '1 minute')")
    ids = column(db, WORKERS, images)
    assert len(ids) == 3
    db.execute(b"delete from supaqueue.worker where id = $1", [ids[0]])
    assert column(db, WORKERS, images) == ids[1:]
    assert row(db, "select max_running, starts from postmill.queues where queue_name = 'images'") == {
        "max_running": 2,
        "starts": 10,
    }


def test_sessions_that_add_and_remove_workers_at_once_are_all_counted(
    db: Database, images: UUID, connect: Callable[[], Database]
) -> None:
    """A number that was read before the other session's commit had been written: its worker was lost."""

    def change(session: Database) -> None:
        for _ in range(10):
            added = value(session, "insert into supaqueue.worker (queue) values ($1) returning id", images)
            session.execute(b"insert into supaqueue.worker (queue) values ($1)", [images])
            session.execute(b"delete from supaqueue.worker where id = $1", [added])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, [connect() for _ in range(4)]))
    assert value(db, LIMIT, "images") == 40
    assert len(set(column(db, WORKERS, images))) == 40


def test_a_queue_that_somebody_paused_stays_paused(db: Database, images: UUID) -> None:
    db.execute(b"insert into supaqueue.worker (queue) values ($1)", [images])
    db.execute(b"select postmill.pause('images', 'at night')")
    db.execute(b"insert into supaqueue.worker (queue) values ($1)", [images])
    assert value(db, "select pause_reason from postmill.queues where queue_name = 'images'") == "at night"
    with refused("PM005", "queue 'images' is paused"):
        db.execute(b"delete from supaqueue.worker")
    assert len(column(db, WORKERS, images)) == 2


def test_a_job_that_runs_has_a_locked_worker_and_is_ended_by_end_current_job(
    db: Database, images: UUID
) -> None:
    db.execute(b"insert into supaqueue.worker (queue) select $1::uuid from generate_series(1, 2)", [images])
    job = added(db, images)
    start(db, job)
    assert value(db, STATUS, job) == "in_progress"
    current = row(db, "select * from supaqueue.current_job")
    assert " ".join(current) == "id created_at worker job is_complete is_successful"
    assert (current["job"], current["is_complete"], current["is_successful"]) == (job, False, None)
    assert column(db, "select id from supaqueue.worker where locked") == [current["worker"]]

    db.execute(b"select public.end_current_job($1, false, null)", [current["id"]])
    assert value(db, STATUS, job) == "in_progress"
    db.execute(b"select public.end_current_job($1, true, true)", [current["id"]])
    assert row(db, "select status::text, attempts, payload from supaqueue.job where id = $1", job) == {
        "status": "success",
        "attempts": 1,
        "payload": {"n": 1},
    }
    for left in ("postmill.claims", "postmill.gates", "pgmq.q_images", "supaqueue.current_job"):
        assert rows(db, f"select * from {left}") == []
    db.execute(b"select public.end_current_job($1, true, false)", [current["id"]])
    assert value(db, STATUS, job) == "success", "an attempt that has ended is none"


def test_an_attempt_that_end_current_job_fails_is_followed_by_another(db: Database, images: UUID) -> None:
    job = added(db, images)
    start(db, job)
    first = value(db, "select id from supaqueue.current_job")
    db.execute(b"select public.end_current_job($1, true, false)", [first])
    assert row(db, "select status::text, attempts from supaqueue.job") == {"status": "pending", "attempts": 1}
    assert rows(db, "select * from postmill.claims") == []
    start(db, job)
    assert value(db, "select id from supaqueue.current_job") != first, "the id is the attempt's"
    db.execute(b"select public.end_current_job($1, true, true)", [first])
    assert value(db, STATUS, job) == "in_progress"


def test_a_job_with_the_status_null_waits_until_it_is_pending(db: Database, images: UUID) -> None:
    job = added(db, images, "status", "null")
    assert value(db, STATUS, job) is None
    due = "select rank < clock_timestamp() + interval '1 second' from postmill.gates"
    assert value(db, due) is False
    db.execute(b"update supaqueue.job set status = 'pending' where id = $1", [job])
    assert (value(db, STATUS, job), value(db, due)) == ("pending", True)
    db.execute(b"update supaqueue.job set status = null where id = $1", [job])
    assert (value(db, STATUS, job), value(db, due)) == (None, False)


def test_the_add_ons_pipeline_joins_when_all_before_it_have_succeeded(db: Database, images: UUID) -> None:
    """The jobs are inserted with null, in any order, then their dependencies; then all become pending."""
    mails = added_queue(db, "mails")
    last = added(db, images, "status", "null")
    parts = [added(db, queue, "status", "null") for queue in (images, mails, images)]
    for part in parts:
        depend(db, part, last)
    stood = rows(db, "select * from supaqueue.job_dependencies")
    assert " ".join(stood[0]) == "created_at source target"
    assert {each["source"] for each in stood} == set(parts)
    assert {each["target"] for each in stood} == {last}
    db.execute(b"update supaqueue.job set status = 'pending' where status is null")
    db.execute(b"select supaqueue.process_jobs()")
    assert set(column(db, "select status::text from supaqueue.job")) == {"pending"}

    for part, queue in zip(parts, ("images", "mails", "images"), strict=True):
        assert row(db, "select waits_for from postmill.messages('images', only_id => $1)", number(last))[
            "waits_for"
        ].startswith("waits for ")
        assert rows(db, "select * from postmill.gates where msg_id = $1 and queue_name = 'images'", 1) == []
        start(db, part, queue)
        complete(db, part, queue)
    assert rows(db, "select * from supaqueue.job_dependencies") == []
    assert rows(db, "select * from postmill.blocked") == []
    assert value(db, "select rank < clock_timestamp() from postmill.gates where msg_id = 1") is True


def test_a_job_that_fails_holds_up_what_waits_for_it_until_it_is_tried_again(
    db: Database, images: UUID
) -> None:
    source, target = added(db, images), added(db, images, "status", "null")
    depend(db, source, target)
    db.execute(b"update supaqueue.job set status = 'pending' where id = $1", [target])
    kill(db, source)
    assert row(db, "select status::text, attempts from supaqueue.job where id = $1", source) == {
        "status": "failed",
        "attempts": 1,
    }
    assert value(db, STATUS, target) == "pending"

    db.execute(b"update supaqueue.job set status = 'pending', attempts = 0 where id = $1", [source])
    assert row(db, "select status::text, attempts from supaqueue.job where id = $1", source) == {
        "status": "pending",
        "attempts": 0,
    }
    assert row(db, "select source, target from supaqueue.job_dependencies") == {
        "source": source,
        "target": target,
    }
    replayed = value(db, "select max(msg_id) from pgmq.q_images")
    start(db, UUID(int=source.int - number(source) + replayed))
    assert value(db, "select job from supaqueue.current_job") == source
    complete(db, source)
    assert rows(db, "select * from postmill.blocked") == []
    assert value(db, "select supaqueue.list_jobs()") == 0, "it is one job with two messages"
    assert len(rows(db, "select * from supaqueue.job")) == 2


def test_a_dependency_on_a_job_that_has_succeeded_holds_up_nothing(db: Database, images: UUID) -> None:
    source, target = added(db, images), added(db, images)
    start(db, source)
    complete(db, source)
    depend(db, source, target)
    assert rows(db, "select * from postmill.blocked") == []


def test_a_dependency_is_taken_back(db: Database, images: UUID) -> None:
    source, target = added(db, images), added(db, images)
    depend(db, source, target)
    assert value(db, "select count(*) from postmill.gates") == 1
    db.execute(b"delete from supaqueue.job_dependencies where target = $1", [target])
    assert value(db, "select count(*) from postmill.gates") == 2
    assert rows(db, "select * from postmill.blocked") == []


def test_a_job_that_is_deleted_is_cancelled_and_nothing_waits_for_it(db: Database, images: UUID) -> None:
    source, target = added(db, images), added(db, images)
    depend(db, source, target)
    db.execute(b"delete from supaqueue.job where id = $1", [source])
    assert column(db, "select id from supaqueue.job") == [target]
    assert column(db, "select msg_id from postmill.cancelled") == [number(source)], "nothing is lost"
    assert rows(db, "select * from postmill.blocked") == []


def test_no_ring_of_jobs_is_made(db: Database, images: UUID) -> None:
    jobs = [added(db, images, "status", "null") for _ in range(3)]
    depend(db, jobs[0], jobs[1])
    depend(db, jobs[1], jobs[2])
    for source, target in ((jobs[2], jobs[0]), (jobs[1], jobs[0]), (jobs[0], jobs[0])):
        with refused("PM003", "would wait for itself"):
            depend(db, source, target)
    with refused("PM005", "waits for job .* already"):
        depend(db, jobs[0], jobs[1])
    assert value(db, "select count(*) from postmill.edges") == 2


def test_two_sessions_close_no_ring(db: Database, images: UUID, connect: Callable[[], Database]) -> None:
    """Each had seen no edge of the other's: without the lock both committed, and the jobs waited for ever."""
    one, other = added(db, images, "status", "null"), added(db, images, "status", "null")
    second = connect()
    second.execute(b"set lock_timeout = '200ms'")
    with db.transaction():
        depend(db, one, other)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            depend(second, other, one)
    with refused("PM003", "would wait for itself"):
        depend(second, other, one)


def test_a_job_that_has_begun_waits_for_nothing_more(db: Database, images: UUID) -> None:
    source, target = added(db, images), added(db, images)
    start(db, target)
    with refused("PM005", "has begun"):
        depend(db, source, target)
    with refused("PM003", "status null of a job that is in_progress|null as the status"):
        db.execute(b"update supaqueue.job set status = null where id = $1", [target])


def test_a_finished_job_is_read_until_retention_and_then_forgotten(db: Database, images: UUID) -> None:
    job = added(db, images)
    start(db, job)
    complete(db, job)
    db.execute(b"delete from pgmq.a_images")
    assert row(db, "select status::text, payload from supaqueue.job where id = $1", job) == {
        "status": "success",
        "payload": None,
    }
    db.execute(
        b"delete from postmill.results; "
        b"update supaqueue.listed_job set created_at = now() - interval '8 days'"
    )
    assert rows(db, "select * from supaqueue.job") == []
    db.execute(b"select setval('pgmq.q_images_msg_id_seq', 99)")
    assert number(added(db, images)) == 100
    assert column(db, "select msg_id from supaqueue.listed_job") == [100]


def test_a_job_is_found_by_its_id_without_a_look_at_the_others(db: Database, images: UUID) -> None:
    db.execute(b"insert into supaqueue.job (queue) select $1::uuid from generate_series(1, 300)", [images])
    db.execute(b"analyze supaqueue.listed_job")
    job = added(db, images)
    plan = "\n".join(column(db, f"explain select status from supaqueue.job where id = '{job}'"))
    assert "listed_job_pkey" in plan
    assert "Seq Scan on listed_job" not in plan


def test_messages_that_were_sent_otherwise_become_jobs(db: Database, images: UUID) -> None:
    db.execute(b"""select postmill.send('images', '{"by": "hand"}')""")
    db.execute(b"select postmill.send('images', '{}', group_key => 'a', run_at => now() + interval '1 hour')")
    db.execute(b"select postmill.send('images', '{}'), pgmq.archive('images', 3)")
    assert rows(db, "select * from supaqueue.job") == []
    assert [value(db, "select supaqueue.list_jobs()") for _ in range(2)] == [3, 0]
    assert column(db, "select status::text from supaqueue.job order by id") == [
        "pending",
        "pending",
        "success",
    ]
    assert value(db, "select payload from supaqueue.job order by id limit 1") == {"by": "hand"}


@pytest.mark.parametrize(
    ("columns", "values", "code", "says"),
    [
        ("queue", "null", "PM003", "the queue is null"),
        ("queue", "gen_random_uuid()", "PM001", "there is no queue"),
        ("payload", "'{}'", "PM003", "the queue is null"),
        ("queue, payload", "$q, null", "PM003", "the payload is null"),
        ("queue, status", "$q, 'success'", "PM003", "the status success of a new job can't be written"),
        ("queue, attempts", "$q, 3", "PM003", "attempts of a job can't be written"),
        ("queue, id", "$q, gen_random_uuid()", "PM003", "id, created_at, .* of a job can't be written"),
        ("queue, status", "$q, 'done'", "22P02", "invalid input value for enum supaqueue.job_status"),
    ],
)
def test_a_hostile_insert_is_refused_and_loses_nothing(
    db: Database, images: UUID, columns: str, values: str, code: str, says: str
) -> None:
    kept = added(db, images)
    values = values.replace("$q", f"'{images}'")
    with pytest.raises(psycopg.Error, match=says) as caught:
        db.execute(f"insert into supaqueue.job ({columns}) values ({values})".encode())
    assert caught.value.sqlstate == code
    assert column(db, "select id from supaqueue.job") == [kept]


@pytest.mark.parametrize(
    ("statement", "code", "says"),
    [
        ("update supaqueue.job set status = 'success'", "PM003", "status success of a job that is pending"),
        ("update supaqueue.job set status = 'failed'", "PM003", "status failed of a job that is pending"),
        ("update supaqueue.job set payload = '{}'", "PM003", "all of a job but its status can't be written"),
        ("update supaqueue.worker set locked = true", "PM003", "supaqueue.worker can't be written"),
        ("insert into supaqueue.worker (queue) values (null)", "PM003", "the queue is null"),
        (
            "insert into supaqueue.worker (queue, locked) select id, true from supaqueue.queue",
            "PM003",
            "worker",
        ),
        ("insert into supaqueue.current_job (job) select id from supaqueue.job", "PM003", "current_job"),
        (
            "insert into supaqueue.queue (edge_function_name) values ('images')",
            "PM005",
            "is a queue 'images' al",
        ),
        (
            "insert into supaqueue.queue (edge_function_name) values ('http://x/')",
            "PM003",
            "name for a funct",
        ),
        ("insert into supaqueue.queue (name) values ('x')", "PM003", "edge_function_name"),
        (
            "insert into supaqueue.queue (name, edge_function_name) values ('x', 'http://x')",
            "PM003",
            "function",
        ),
        ("update supaqueue.queue set name = 'other'", "PM003", "name of a queue can't be written"),
        ("delete from supaqueue.queue", "PM005", "queue 'images' has 1 jobs that have not ended"),
        (
            "insert into supaqueue.job_dependencies (source) select id from supaqueue.job",
            "PM003",
            "job is null",
        ),
        (
            "insert into supaqueue.job_dependencies select now(), id, gen_random_uuid() from supaqueue.job",
            "PM001",
            "there is no job",
        ),
    ],
)
def test_what_can_not_be_done_is_refused_in_words(
    db: Database, images: UUID, statement: str, code: str, says: str
) -> None:
    db.execute(b"insert into supaqueue.worker (queue) values ($1)", [images])
    job = added(db, images)
    with refused(code, says):
        db.execute(statement.encode())
    assert value(db, STATUS, job) == "pending"


def test_what_a_queue_calls_is_changed_and_its_workers_stay(db: Database, images: UUID) -> None:
    db.execute(b"insert into supaqueue.worker (queue) select $1::uuid from generate_series(1, 3)", [images])
    db.execute(
        b"update supaqueue.queue set edge_function_name = 'shrink', default_headers = '{\"a\": \"b\"}'"
    )
    assert row(db, "select function, workers, max_attempts from postmill.call_queue_list") == {
        "function": "shrink",
        "workers": 3,
        "max_attempts": 3,
    }
    assert value(db, "select default_headers from supaqueue.queue") == {"a": "b"}
    db.execute(b"delete from supaqueue.queue where id = $1", [images])
    assert rows(db, "select * from pgmq.meta") == []


def test_a_queue_that_calls_a_url_stands_there_too_and_keeps_it(db: Database) -> None:
    db.execute(b"select postmill.create_call_queue('hooks', url => 'https://example.com/', workers => 2)")
    db.execute(b'update supaqueue.queue set default_headers = \'{"a": "b"}\'')
    assert row(db, "select name, edge_function_name, default_headers from supaqueue.queue") == {
        "name": "hooks",
        "edge_function_name": "https://example.com/",
        "default_headers": {"a": "b"},
    }
    assert row(db, "select function, url, workers from postmill.call_queue_list") == {
        "function": None,
        "url": "https://example.com/",
        "workers": 2,
    }


def test_a_job_that_runs_and_is_deleted_is_asked_to_end(db: Database, images: UUID) -> None:
    job = added(db, images)
    start(db, job)
    db.execute(b"delete from supaqueue.job where id = $1", [job])
    assert rows(db, "select * from supaqueue.job") == []
    assert row(db, "select msg_id, cancelled_at from postmill.cancellations") == {
        "msg_id": number(job),
        "cancelled_at": None,
    }


def test_a_secret_in_a_header_asks_for_its_grant(db: Database) -> None:
    insert = (
        b"insert into supaqueue.queue (name, edge_function_name, default_headers) "
        b"""values ('images', 'resize', '{"X-Key": "{{secret:RESIZE_KEY}}"}')"""
    )
    with refused("42501", "was not granted the secret RESIZE_KEY"):
        db.execute(insert)
    db.execute(b"select postmill.grant_secret('RESIZE_KEY', current_user::name)")
    db.execute(insert)


def test_a_removed_facade_leaves_queues_jobs_and_workers(db: Database, images: UUID) -> None:
    db.execute(b"insert into supaqueue.worker (queue) select $1::uuid from generate_series(1, 2)", [images])
    job = added(db, images)
    remove_facades(db, [named("supaqueue")])
    assert value(db, "select to_regnamespace('supaqueue')") is None
    assert value(db, "select to_regproc('public.end_current_job')") is None
    assert value(db, LIMIT, "images") == 2
    migrate(db, wanted=[named("supaqueue")])
    assert value(db, "select supaqueue.list_jobs()") == 1
    assert column(db, "select id from supaqueue.job") == [job], "the id is the same again"


def test_a_stranger_reaches_nothing(db: Database, images: UUID, stranger: Database) -> None:
    attempts: list[Any] = [
        f"select * from supaqueue.{view}" for view in ("queue", "job", "worker", "listed_job")
    ]
    for attempt in (
        *attempts,
        "insert into supaqueue.job default values",
        "select supaqueue.process_jobs()",
        "select public.end_current_job(gen_random_uuid(), true, true)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute(attempt.encode())
    assert (
        rows(
            db,
            "select proname from pg_proc where (pronamespace = 'supaqueue'::regnamespace "
            "or proname = 'end_current_job') and has_function_privilege('public', oid, 'execute')",
        )
        == []
    )


def test_the_grants_of_the_page_are_enough_for_a_service_role(
    db: Database, images: UUID, stranger: Database
) -> None:
    (grants,) = re.findall(r"^```sql\n(grant .*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    db.execute(grants.replace("service_role", "stranger").encode())
    stranger.execute(b"insert into supaqueue.worker (queue) values ($1)", [images])
    source, target = added(stranger, images), added(stranger, images, "status", "null")
    depend(stranger, source, target)
    stranger.execute(b"update supaqueue.job set status = 'pending' where status is null")
    stranger.execute(b"select supaqueue.process_jobs(), supaqueue.list_jobs()")
    start(db, source)
    complete(stranger, source)
    start(db, target)
    stranger.execute(b"select public.end_current_job(id, true, false) from supaqueue.current_job")
    stranger.execute(b"delete from supaqueue.job where id = $1", [target])
    stranger.execute(b"delete from supaqueue.worker")
    assert column(db, "select status::text from supaqueue.job") == ["success"]
