"""A day of somebody who knows Supaqueue: its statements, and a process that makes the calls."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from aiohttp import web

from postmill.db.tools.facades import named
from postmill.db.tools.migrate import migrate
from tests.servers import session
from tests.service.calling import SERVICE_KEY, answering, making_calls, serving, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from tests.service.calling import Target

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "supaqueues-day.md"
JOB = "insert into supaqueue.job (queue, payload) values ($1, $2) returning id"
HELD = "insert into supaqueue.job (queue, payload, status) values ($1, $2, null) returning id"
DEPENDENCY = "insert into supaqueue.job_dependencies (source, target) values ($1, $2)"
STATUS = "select status::text from supaqueue.job where id = $1"
WORKERS = "insert into supaqueue.worker (queue) select $1::uuid from generate_series(1, $2)"


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with serving() as made:
        yield made


@pytest.fixture(autouse=True)
def installed(database_url: str) -> None:
    with session(database_url) as db:
        migrate(db, wanted=[named("supaqueue")])


async def queue_of(adb: asyncpg.Connection, function: str, workers: int) -> UUID:
    made: UUID = await adb.fetchval(
        "insert into supaqueue.queue (edge_function_name) values ($1) returning id", function
    )
    await adb.execute(WORKERS, made, workers)
    return made


async def becomes(adb: asyncpg.Connection, job: UUID, status: str) -> None:
    async def is_so() -> bool:
        return bool(await adb.fetchval(STATUS, job) == status)

    await until(is_so)


async def running(target: Target, calls: int) -> None:
    async def are() -> bool:
        return target.now == calls

    await until(are)


async def test_a_job_is_a_call_of_the_queues_function_with_its_headers(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await adb.execute("select postmill.grant_secret('IMAGE_KEY', current_user::name)")
    queue = await adb.fetchval(
        "insert into supaqueue.queue (name, edge_function_name, default_headers) "
        """values ('images', 'resize', '{"X-From": "us", "X-Key": "{{secret:IMAGE_KEY}}"}') returning id"""
    )
    async with making_calls(database_url, target, secrets={"IMAGE_KEY": "s3cret"}):
        job = await adb.fetchval(JOB, queue, '{"arg1": "val"}')
        assert await adb.fetchval(STATUS, job) == "pending", "it has no worker"
        await adb.execute(WORKERS, queue, 1)
        await becomes(adb, job, "success")
    (request,) = target.seen
    assert (request.path, request.headers["X-From"]) == ("/functions/v1/resize", "us")
    assert request.headers["X-Key"] == "s3cret"
    assert request.headers["Authorization"] == f"Bearer {SERVICE_KEY}"
    assert json.loads(target.bodies[0]) == {"arg1": "val"}


async def test_workers_that_are_added_and_removed_change_what_runs_at_once(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/functions/v1/resize"] = target.hang
    queue = await queue_of(adb, "resize", 2)
    async with making_calls(database_url, target):
        for n in range(12):
            await adb.execute(JOB, queue, str(n))
        await running(target, 2)
        await adb.execute(WORKERS, queue, 3)
        await running(target, 5)
        assert await adb.fetchval("select count(*) = 5 and bool_and(locked) from supaqueue.worker")
        assert await adb.fetchval("select count(worker) = 5 from supaqueue.current_job")
        await adb.execute(
            "delete from supaqueue.worker where id in (select id from supaqueue.worker limit 4)"
        )
        current = await adb.fetch("select id, worker from supaqueue.current_job")
        assert sum(each["worker"] is not None for each in current) == 1, "the others end without a worker"
        for each in current[:4]:
            await adb.execute("select public.end_current_job($1, true, true)", each["id"])
        await running(target, 1)
        target.release.set()
        await until(lambda: adb.fetchval("select count(*) = 12 from supaqueue.job where status = 'success'"))
    assert target.most == 5


async def test_a_job_that_fails_three_times_is_failed_and_can_be_tried_again(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/functions/v1/resize"] = answering(500, "no memory left")
    queue = await queue_of(adb, "resize", 1)
    async with making_calls(database_url, target):
        job = await adb.fetchval(JOB, queue, "{}")
        for attempts in (1, 2):

            async def tried(attempts: int = attempts) -> bool:
                pending = "select status = 'pending' and attempts = $1 from supaqueue.job"
                return bool(await adb.fetchval(pending, attempts))

            await until(tried)
            await adb.execute("update postmill.gates set rank = clock_timestamp()")
            await adb.execute("select supaqueue.process_jobs()")
        await becomes(adb, job, "failed")
        assert target.at["/functions/v1/resize"] == 3
        target.answers.clear()
        await adb.execute("update supaqueue.job set status = 'pending' where id = $1", job)
        await becomes(adb, job, "success")
    assert await adb.fetchval("select count(*) from supaqueue.job") == 1


async def test_the_document_pipeline_of_the_add_on(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """Paragraphs are summarized at once, and the last job joins what came of them."""
    paragraphs = await queue_of(adb, "paragraph", 3)
    documents = await queue_of(adb, "document", 1)
    async with making_calls(database_url, target):
        jobs = [await adb.fetchval(HELD, paragraphs, str(n)) for n in range(7)]
        last = await adb.fetchval(HELD, documents, '"all"')
        await adb.execute(
            "insert into supaqueue.job_dependencies (source, target) select unnest($1::uuid[]), $2",
            jobs,
            last,
        )
        assert target.seen == []
        await adb.execute("update supaqueue.job set status = 'pending' where status is null")
        await adb.execute("select supaqueue.process_jobs()")
        await becomes(adb, last, "success")
    assert [request.path.rpartition("/")[2] for request in target.seen] == ["paragraph"] * 7 + ["document"]
    assert await adb.fetch("select * from supaqueue.job_dependencies") == []


async def test_a_call_that_was_ended_as_failed_is_made_again_and_its_late_answer_counts_for_nothing(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/functions/v1/resize"] = target.hang
    queue = await queue_of(adb, "resize", 1)
    end: Any = "select public.end_current_job(id, true, $1) from supaqueue.current_job"
    async with making_calls(database_url, target):
        job = await adb.fetchval(JOB, queue, "{}")
        for times in (1, 2, 3):

            async def called(times: int = times) -> bool:
                return target.at["/functions/v1/resize"] == times

            await until(called)
            await adb.execute(end, False)
        await becomes(adb, job, "failed")
        target.release.set()
        assert await adb.fetchval("select attempts from postmill.dead_letters") == 3
    assert await adb.fetchval(STATUS, job) == "failed"


async def test_the_statements_of_the_tutorial_run_as_they_stand(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """The function of the page fails without a text, until it is mended."""
    mended = False

    async def summarize(request: web.Request) -> web.Response:
        text = json.loads(await request.text()).get("text", "" if mended else None)
        return web.Response(status=500) if text is None else web.json_response({"summary": text})

    async def ended() -> bool:
        await adb.execute("update postmill.gates set rank = clock_timestamp() where claim_id is null")
        await adb.execute("select supaqueue.process_jobs()")
        waits = "status in ('pending', 'in_progress') and queue in (select queue from supaqueue.worker)"
        return bool(await adb.fetchval(f"select count(*) = 0 from supaqueue.job where {waits}"))

    target.answers["/functions/v1/summarize"] = summarize
    await adb.execute("select postmill.grant_secret('SUMMARY_KEY', current_user::name)")
    blocks = re.findall(r"^```sql\n(.*?)^```$", TUTORIAL.read_text(encoding="utf-8"), re.M | re.S)
    async with making_calls(database_url, target, secrets={"SUMMARY_KEY": "s3cret"}):
        for block in blocks:
            mended = mended or "where status = 'failed'" in block
            if block.startswith("select"):
                assert await adb.fetch(block)
            else:
                await adb.execute(block)
            await until(ended)
            if "'{}' from" in block:
                assert await adb.fetchval("select count(*) from supaqueue.job where status = 'failed'") == 1
    paths = [request.path.rpartition("/")[2] for request in target.seen]
    assert paths == ["summarize"] * 6 + ["finish"] + ["summarize"] * 5
    assert target.seen[-1].headers["X-Key"] == "s3cret"
    assert await adb.fetchval("select bool_and(status = 'success') from supaqueue.job")


async def test_dependencies_that_race_with_the_workers_are_refused_or_kept(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """Each job may begin at any moment. One that waits runs after its sources, and none waits for ever."""
    sources, targets = await queue_of(adb, "source", 4), await queue_of(adb, "target", 4)
    kept: list[tuple[int, int]] = []
    async with making_calls(database_url, target), making_calls(database_url, target):
        for n in range(80):
            made = [await adb.fetchval(JOB, sources, str(n)) for _ in range(2)]
            last = await adb.fetchval(JOB, targets, str(n))
            for each, source in enumerate(made):
                with contextlib.suppress(asyncpg.PostgresError):
                    await adb.execute(DEPENDENCY, source, last)
                    kept.append((n, each + 1))
        await until(lambda: adb.fetchval("select count(*) = 240 from supaqueue.job where status = 'success'"))
    calls = [
        (request.path.rpartition("/")[2], int(body))
        for request, body in zip(target.seen, target.bodies, strict=True)
    ]
    assert len(kept) > 20, "most were in time"
    early = [(n, many) for n, many in kept if calls[: calls.index(("target", n))].count(("source", n)) < many]
    assert early == []
    assert await adb.fetchval("select count(*) from supaqueue.job_dependencies") == 0
