"""Queues whose messages are calls: the life of such a job, as people know it from a database that calls their
functions, and what went wrong with it elsewhere.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from aiohttp import web

from postmill.calls.call_handler import CallHandler
from postmill.calls.call_queue_reads import CallQueueReads
from postmill.calls.call_queues import CallQueues
from postmill.calls.outbound import Outbound
from postmill.calls.project_secrets import ProjectSecrets
from postmill.db.hot.shared_connection import SharedConnection
from postmill.model.calls.address_guard import AddressGuard
from postmill.model.calls.call_queue import CallQueue
from postmill.model.config.address import Address
from postmill.model.queue.outcome import Snooze
from tests.service.calling import SERVICE_KEY, answering, making_calls, serving, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.service.calling import Target

RESULT = "select result from postmill.results where queue_name = 'jobs' and msg_id = $1"
STATE = "select state from postmill.messages('jobs') where msg_id = $1"
FAILURES = "select * from postmill.failures where queue_name = 'jobs' order by failure_id"


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with serving() as made:
        yield made


async def sent(adb: asyncpg.Connection, payload: str = '{"n": 1}') -> int:
    msg_id: int = await adb.fetchval("select postmill.send('jobs', $1)", payload)
    return msg_id


async def result_of(adb: asyncpg.Connection, msg_id: int) -> Any:
    return json.loads(await until(lambda: adb.fetchval(RESULT, msg_id)))


async def function_queue(adb: asyncpg.Connection, options: str = "") -> None:
    await adb.execute(f"select postmill.create_call_queue('jobs', function => 'resize' {options})")


async def test_a_message_is_a_call_and_its_answer_the_result(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await function_queue(adb)
    async with making_calls(database_url, target):
        result = await result_of(adb, await sent(adb))
    (request,) = target.seen
    assert (request.method, request.path) == ("POST", "/functions/v1/resize")
    assert (request.headers["Authorization"], request.content_type) == (
        f"Bearer {SERVICE_KEY}",
        "application/json",
    )
    assert json.loads(target.bodies[0]) == {"n": 1}
    assert (result["status"], result["body"]) == (200, {"ok": True})
    assert result["headers"]["Content-Type"].startswith("application/json")


async def test_a_url_gets_exactly_its_own_headers_and_never_the_service_key(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await adb.execute("select postmill.grant_secret('KEY', current_user::name)")
    await adb.execute(
        "select postmill.create_call_queue('jobs', url => $1, headers => $2)",
        target.url + "/hook",
        '{"X-Key": "{{secret:KEY}}"}',
    )
    async with making_calls(database_url, target, secrets={"KEY": "s3cret"}):
        await result_of(adb, await sent(adb))
    (request,) = target.seen
    assert request.headers["X-Key"] == "s3cret"
    assert SERVICE_KEY not in str(request.headers)


async def test_a_revoke_ends_the_use_of_a_secret_by_queues_that_are_there(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """It was asked for when the queue was made, and never again."""
    await adb.execute("select postmill.grant_secret('KEY', current_user::name)")
    await adb.execute("select postmill.create_call_queue('jobs', url => $1)", target.url + "/{{secret:KEY}}")
    async with making_calls(database_url, target, secrets={"KEY": "s3cret"}):
        await result_of(adb, await sent(adb))
        await adb.execute("select postmill.revoke_secret('KEY', current_user::name)")
        await sent(adb)
        letter = await until(lambda: adb.fetchrow("select * from postmill.dead_letters"))
        assert "may not use the secret KEY any more" in letter["reason"]
        await adb.execute("select postmill.grant_secret('KEY', current_user::name)")
        replayed = "select msg_id from postmill.replay('jobs', array[$1::bigint])"
        await result_of(adb, await adb.fetchval(replayed, letter["letter_id"]))
    assert target.at == {"/s3cret": 2}


async def test_an_outage_while_its_queue_is_read_is_no_attempt() -> None:
    class Away(SharedConnection):
        async def fetch(self, *_: object) -> Any:
            raise ConnectionResetError

    queue = CallQueue("jobs", None, "http://127.0.0.1/{{secret:KEY}}", {}, 3, 1.0, ("KEY",), "postgres")
    reads = CallQueueReads(Away(Address("postgresql:///"), "calls"))
    outbound = Outbound(AddressGuard(), None, ProjectSecrets(dict))
    message: Any = SimpleNamespace(raw="{}")
    with pytest.raises(Snooze):
        await CallHandler(queue, reads, outbound).bind(message, None)  # type: ignore[arg-type]


async def test_no_more_calls_run_than_workers_and_a_change_holds_at_once(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/functions/v1/resize"] = target.hang
    await function_queue(adb, ", workers => 2")
    async with making_calls(database_url, target) as one, making_calls(database_url, target) as other:
        for _ in range(8):
            await sent(adb)
        await until(lambda: running(target, 2))
        await function_queue(adb, ", workers => 5")
        await until(lambda: running(target, 5))
        assert one.running + other.running == 5
        target.release.set()
        await until(lambda: adb.fetchval("select count(*) = 8 from postmill.results"))
    assert target.most == 5


async def running(target: Target, calls: int) -> bool:
    return target.now == calls


async def test_an_http_error_is_no_success_and_a_lone_failed_job_is_tried_again(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """Elsewhere any answer counted as success, and a failed job waited until another one was inserted."""
    target.answers["/functions/v1/resize"] = answering(500, "no memory left", X_Trace="abc")
    await function_queue(adb)
    async with making_calls(database_url, target):
        msg_id = await sent(adb)
        await until(lambda: adb.fetch(FAILURES))
        (failure,) = await adb.fetch(FAILURES)
        assert (failure["error_type"], failure["error_message"]) == ("CallFailed", "HTTP 500: no memory left")
        assert "X-Trace: abc" in failure["traceback"]
        assert await adb.fetchval(STATE, msg_id) == "waiting", "for its time, and then for a place"
        target.answers.clear()
        assert (await result_of(adb, msg_id))["status"] == 200
    assert target.at["/functions/v1/resize"] == 2


@pytest.mark.parametrize(
    ("status", "headers", "says"),
    [
        (404, {}, "HTTP 404: gone"),
        (302, {"Location": "/elsewhere"}, "HTTP 302: gone"),
        (410, {}, "HTTP 410: gone"),
    ],
)
async def test_a_job_whose_attempts_are_used_up_is_dead_with_the_answer(
    database_url: str,
    adb: asyncpg.Connection,
    target: Target,
    status: int,
    headers: dict[str, str],
    says: str,
) -> None:
    """A function that is missing, one that redirects, and one that refuses."""
    target.answers["/functions/v1/resize"] = answering(status, "gone", **headers)
    await function_queue(adb, ", max_attempts => 1")
    async with making_calls(database_url, target):
        await sent(adb)
        letter = await until(lambda: adb.fetchrow("select * from postmill.dead_letters"))
    assert letter["reason"].endswith(says)
    assert f"HTTP {status}" in letter["traceback"]
    assert target.at == {"/functions/v1/resize": 1}


async def test_a_function_that_asks_for_time_gets_it(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/functions/v1/resize"] = answering(429, Retry_After="300")
    await function_queue(adb)
    async with making_calls(database_url, target):
        msg_id = await sent(adb)
        await until(lambda: adb.fetch(FAILURES))
        wait = "select extract(epoch from rank - clock_timestamp()) from postmill.gates where msg_id = $1"
        assert 280 < await adb.fetchval(wait, msg_id) <= 300


async def test_a_timeout_leaves_no_handler_running(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """A job was given up after its time limit, while the function went on working for nobody."""
    target.answers["/functions/v1/resize"] = target.hang
    await function_queue(adb, ", max_attempts => 1, timeout => '100 ms'")
    async with making_calls(database_url, target) as calling:
        await sent(adb)
        letter = await until(lambda: adb.fetchrow("select * from postmill.dead_letters"))
        await target.gone.wait()
        assert calling.running == 0
    assert letter["kind"] == "timeout"


async def test_a_function_that_never_answers_holds_its_place_no_longer_than_its_time(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """A function had to call back when it was done. One that never did kept its job and worker for ever."""
    target.answers["/functions/v1/resize"] = target.hang
    await function_queue(adb, ", workers => 1, max_attempts => 1, timeout => '200 ms'")
    async with making_calls(database_url, target):
        stuck = await sent(adb)
        await target.gone.wait()
        target.answers.clear()
        assert (await result_of(adb, await sent(adb)))["status"] == 200
        letter = "select msg_id from postmill.dead_letters where kind = 'timeout'"
        assert await until(lambda: adb.fetchval(letter)) == stuck


async def test_a_job_whose_call_runs_is_running_and_nobody_ends_it(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """An in-flight call was marked as failed by what looked for lost ones, and made again."""
    target.answers["/functions/v1/resize"] = target.hang
    await function_queue(adb)
    async with making_calls(database_url, target):
        msg_id = await sent(adb)
        await target.arrived.wait()
        async with making_calls(database_url, target):
            assert await adb.fetch("select * from postmill.rescue()") == []
            await adb.execute("select postmill.tidy_calls()")
            assert await adb.fetchval(STATE, msg_id) == "running"
            assert await adb.fetch(FAILURES) == []
        target.release.set()
        assert (await result_of(adb, msg_id))["status"] == 200
    assert target.at == {"/functions/v1/resize": 1}


async def test_a_job_that_is_inserted_while_the_only_worker_finishes_is_done(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """It was left lying: the worker had looked before, and the insert found that it was still at work."""
    left = 20

    async def insert_another(_: web.Request) -> web.Response:
        nonlocal left
        left -= 1
        if left:
            await sent(adb)
        return web.json_response({})

    target.answers["/functions/v1/resize"] = insert_another
    await function_queue(adb, ", workers => 1")
    async with making_calls(database_url, target):
        await sent(adb)
        await target.arrived.wait()
        other = await asyncpg.connect(database_url)
        await until(lambda: other.fetchval("select count(*) = 20 from postmill.results"))
        await other.close()
    assert (left, target.most) == (0, 1)


@pytest.mark.parametrize(("status", "ends"), [(200, "succeeded"), (500, "failed")])
async def test_a_scheduled_job_has_succeeded_when_its_function_has_and_not_before(
    database_url: str, adb: asyncpg.Connection, target: Target, status: int, ends: str
) -> None:
    """A run had succeeded as soon as its request was queued, whatever the function said then."""
    target.answers["/functions/v1/resize"] = target.hang
    await function_queue(adb, ", max_attempts => 1")
    await adb.execute("select postmill.schedule('pictures', '@yearly', 'jobs')")
    run = "select status from postmill.schedule_history"
    async with making_calls(database_url, target):
        await adb.execute("select postmill.run_schedule('pictures')")
        await target.arrived.wait()
        await adb.execute("select postmill.tidy_schedule_runs()")
        assert await adb.fetchval(run) == "sent"
        target.status = status
        target.release.set()
        assert await until(lambda: adb.fetchval(run + " where status <> 'sent'")) == ends


async def test_a_job_that_is_cancelled_ends_its_call(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/functions/v1/resize"] = target.hang
    await function_queue(adb)
    async with making_calls(database_url, target):
        msg_id = await sent(adb)
        await target.arrived.wait()
        await adb.execute("select postmill.cancel('jobs', $1)", msg_id)
        await target.gone.wait()
        await until(lambda: adb.fetchval("select count(*) = 1 from postmill.cancelled"))
    assert await adb.fetchval("select count(*) from pgmq.q_jobs") == 0


async def test_a_pipeline_of_three_functions_stops_where_one_fails(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    for name in ("first", "second", "third"):
        await adb.execute("select postmill.create_call_queue($1, function => $1, max_attempts => 1)", name)
    target.answers["/functions/v1/second"] = answering(400, "no")
    async with making_calls(database_url, target):
        after: list[str] = []
        for name in ("first", "second", "third"):
            call = "select postmill.send($1, '{}', after => $2)"
            after = [f"{name}:{await adb.fetchval(call, name, after or None)}"]
        cancelled = "select count(*) = 1 from postmill.cancelled where queue_name = 'third'"
        await until(lambda: adb.fetchval(cancelled))
    assert target.at == {"/functions/v1/first": 1, "/functions/v1/second": 1}


async def test_a_queue_that_comes_while_another_finishes_is_worked_on(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """A job that was inserted while the only worker finished was left lying."""
    target.answers["/functions/v1/resize"] = target.hang
    await function_queue(adb)
    async with making_calls(database_url, target):
        held = await sent(adb)
        await target.arrived.wait()
        await adb.execute("select postmill.create_call_queue('more', function => 'other')")
        await adb.execute("select postmill.send('more', '{}')")
        await until(
            lambda: adb.fetchval("select count(*) = 1 from postmill.results where queue_name = 'more'")
        )
        target.release.set()
        assert (await result_of(adb, held))["status"] == 200
    assert target.at == {"/functions/v1/resize": 1, "/functions/v1/other": 1}


async def test_what_a_queue_calls_changes_at_once(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await function_queue(adb)
    async with making_calls(database_url, target):
        await result_of(adb, await sent(adb))
        await adb.execute("select postmill.create_call_queue('jobs', url => $1)", target.url + "/new")

        async def arrived() -> bool:
            await result_of(adb, await sent(adb))
            return target.at["/new"] > 0

        await until(arrived)


async def test_a_process_that_knows_no_functions_leaves_them_to_others(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await function_queue(adb)
    async with making_calls(database_url):
        await adb.execute("select postmill.create_call_queue('hooks', url => $1)", target.url + "/hook")
        msg_id = await sent(adb)
        await adb.execute("select postmill.send('hooks', '{}')")
        await until(
            lambda: adb.fetchval("select count(*) = 1 from postmill.results where queue_name = 'hooks'")
        )
        assert await adb.fetchval(STATE, msg_id) in {"ready", "waiting"}
    assert target.at == {"/hook": 1}


async def test_an_address_that_is_refused_is_told_at_once(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await adb.execute("select postmill.create_call_queue('jobs', url => $1)", target.url + "/inside")
    async with making_calls(database_url, target, guard=AddressGuard()):
        await sent(adb)
        letter = await until(lambda: adb.fetchrow("select * from postmill.dead_letters"))
    assert "is not a public address" in letter["reason"]
    assert target.seen == []


async def test_a_change_holds_for_what_is_sent_after_it_though_it_is_not_heard_of(
    database_url: str, adb: asyncpg.Connection, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notification of a new URL came after the message's own, and the old one was called."""
    monkeypatch.setattr(CallQueues, "_heard", lambda *_: None)
    await adb.execute("select postmill.create_call_queue('jobs', url => $1)", target.url + "/old")
    async with making_calls(database_url, target):
        await result_of(adb, await sent(adb))
        await adb.execute("select postmill.create_call_queue('jobs', url => $1)", target.url + "/new")
        await result_of(adb, await sent(adb))
    assert target.at == {"/old": 1, "/new": 1}
