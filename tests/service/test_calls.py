"""Calls that are asked for in SQL: made once, in time, to where they may go, and each answered by itself."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from postmill.calls.answers import Answers
from postmill.calls.call_claims import MOST_A_HOST
from postmill.calls.caller import Caller
from postmill.calls.client import MOST_BYTES
from postmill.calls.outbound import Outbound
from postmill.calls.project_secrets import ProjectSecrets
from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.model.calls.address_guard import AddressGuard
from postmill.model.config.address import Address
from postmill.service.events import Events
from postmill.service.outage import Outage
from postmill.sql.catalog import statement
from tests.servers import session
from tests.service.calling import answered, answering, making_calls, serving, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tests.servers import PrivateServer
    from tests.service.calling import Target


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with serving() as made:
        yield made


async def test_a_call_is_made_after_the_commit_and_its_answer_is_kept(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    async with making_calls(database_url):
        async with adb.transaction():
            call_id = await adb.fetchval(
                "select net.http_post($1, $2, params => $3, headers => $4)",
                *(target.url + "/path", '{"a": 1}', '{"q": "x y&z"}', '{"X-Mine": "1"}'),
            )
        found = await answered(adb, call_id)
    (request,) = target.seen
    assert (request.method, request.path_qs) == ("POST", "/path?q=x%20y%26z")
    assert (request.headers["X-Mine"], request.content_type) == ("1", "application/json")
    assert json.loads(target.bodies[0]) == {"a": 1}
    assert (found["status_code"], found["error_msg"], json.loads(found["content"])) == (
        200,
        None,
        {"ok": True},
    )
    assert await adb.fetchval("select count(*) from net.http_request_queue") == 0


async def test_a_call_that_is_rolled_back_is_not_made(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    async with making_calls(database_url):
        undone = adb.transaction()
        await undone.start()
        await adb.execute("select net.http_get($1)", target.url + "/never")
        await undone.rollback()
        await answered(adb, await adb.fetchval("select net.http_get($1)", target.url + "/after"))
    assert [request.path for request in target.seen] == ["/after"]


async def test_one_slow_host_hides_no_batch(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """A pg_net worker waited for the slowest answer of a batch before it showed any."""
    target.answers["/slow"] = target.hang
    slow = "select net.http_get($1, timeout_milliseconds => 60000) from generate_series(1, 300)"
    async with making_calls(database_url) as calling:
        await adb.execute(slow, target.url + "/slow")
        async with serving() as other:
            quick = await adb.fetchval("select net.http_get($1)", other.url + "/quick")
            assert (await answered(adb, quick))["status_code"] == 200
        assert calling.running == MOST_A_HOST
        assert (
            await adb.fetchval("select count(*) from postmill.calls where started_at is null")
            == 300 - MOST_A_HOST
        )
        target.release.set()
        await until(lambda: adb.fetchval("select count(*) = 301 from postmill.call_responses"))


async def test_one_slow_answer_hides_none_of_its_batch(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """All of one batch, to one host: those that have arrived were seen when the slowest had."""
    target.answers["/0"] = target.hang
    many = "select net.http_get($1 || n, timeout_milliseconds => 60000) from generate_series(0, 9) n"
    async with making_calls(database_url):
        await adb.execute(many, target.url + "/")
        await until(lambda: adb.fetchval("select count(*) = 9 from net._http_response"))
        assert await adb.fetchval("select count(*) from net.http_request_queue") == 1
        target.release.set()
        await until(lambda: adb.fetchval("select count(*) = 10 from net._http_response"))


async def test_a_time_limit_ends_the_request_itself(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/hang"] = target.hang
    async with making_calls(database_url):
        hung = "select net.http_get($1, timeout_milliseconds => 100)"
        found = await answered(adb, await adb.fetchval(hung, target.url + "/hang"))
        await target.gone.wait()
    assert (found["status_code"], found["timed_out"], found["error_msg"]) == (
        None,
        True,
        "no answer within 0.1 s",
    )


async def test_an_answer_that_is_too_large_is_cut_off_in_words(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """It has 100 MB."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(bytes(1024 * 1024))
        return response

    target.answers["/large"] = endless
    async with making_calls(database_url):
        found = await answered(adb, await adb.fetchval("select net.http_get($1)", target.url + "/large"))
    assert (found["status_code"], found["content"]) == (200, None)
    assert found["error_msg"] == f"the answer is larger than {MOST_BYTES} bytes: not kept"


async def test_a_redirect_is_an_answer_and_is_not_followed(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/moved"] = answering(302, Location="/elsewhere")
    async with making_calls(database_url):
        found = await answered(adb, await adb.fetchval("select net.http_get($1)", target.url + "/moved"))
    assert found["status_code"] == 302
    assert target.at == {"/moved": 1}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_call_that_is_cut_off_is_not_sent_again(
    database_url: str, adb: asyncpg.Connection, target: Target, method: str
) -> None:
    """An HTTP library sends a request again by itself when its connection was closed and its method allows
    that.
    """

    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    target.answers["/cut"] = cut
    async with making_calls(database_url):
        call = "select postmill.call($1, method => $2)"
        found = await answered(adb, await adb.fetchval(call, target.url + "/cut", method))
    assert target.at["/cut"] == 1
    assert (found["status_code"], found["outcome_unknown"]) == (None, False)
    assert found["error_msg"]


async def test_attempts_are_asked_for_and_share_a_key(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/busy"] = answering(503, "later", Retry_After="0")
    async with making_calls(database_url):
        once = await answered(adb, await adb.fetchval("select postmill.call($1)", target.url + "/busy"))
        assert (once["status_code"], once["attempts"], target.at["/busy"]) == (503, 1, 1)
        again = "select postmill.call($1, max_attempts => 3)"
        found = await answered(adb, await adb.fetchval(again, target.url + "/busy"))
    assert (found["status_code"], found["attempts"], target.at["/busy"]) == (503, 3, 4)
    keys = [request.headers.get("Idempotency-Key") for request in target.seen]
    assert keys[0] is None
    assert len(set(keys[1:])) == 1
    assert keys[1]


async def test_a_server_that_asks_for_time_gets_it(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/busy"] = answering(429, Retry_After="120")
    waiting = "select due_at - clock_timestamp() from postmill.calls where last_error is not null"
    async with making_calls(database_url):
        await adb.execute("select postmill.call($1, max_attempts => 2)", target.url + "/busy")
        wait = await until(lambda: adb.fetchval(waiting))
    assert 100 < wait.total_seconds() <= 120


async def test_a_process_that_is_gone_leaves_an_unknown_outcome_and_no_second_request(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """It was killed with a request in flight: whether the server has seen it, nobody knows."""
    once = await adb.fetchval("select net.http_post($1)", target.url + "/pay")
    often = await adb.fetchval("select postmill.call($1, max_attempts => 2)", target.url + "/often")
    claimed = await adb.fetch(statement("calls_claim"), 0, 10, [], [], 10, True)
    assert [row["call_id"] for row in claimed] == [once, often]
    await adb.execute("update postmill.calls set lost_at = clock_timestamp() - interval '1 second'")
    await adb.execute("select postmill.tidy_calls()")
    async with making_calls(database_url):
        assert (await answered(adb, often))["status_code"] == 200
        lost = await answered(adb, once)
    assert target.at == {"/often": 1}
    assert (lost["outcome_unknown"], lost["status_code"]) == (True, None)
    assert "outcome is unknown" in lost["error_msg"]


async def test_an_answer_that_comes_late_takes_the_place_of_the_unknown_one(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """An in-flight call was marked as failed, and its answer was dropped."""
    target.answers["/slow"] = target.hang
    async with making_calls(database_url):
        call_id = await adb.fetchval("select net.http_get($1)", target.url + "/slow")
        await target.arrived.wait()
        await adb.execute("update postmill.calls set lost_at = clock_timestamp() - interval '1 second'")
        await adb.execute("select postmill.tidy_calls()")
        assert (await answered(adb, call_id))["outcome_unknown"]
        target.release.set()
        await until(lambda: adb.fetchval("select status_code = 200 from postmill.call_responses"))
    assert not (await answered(adb, call_id))["outcome_unknown"]


async def test_all_that_is_old_is_deleted_and_all_that_is_lost_is_ended_without_a_pause(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """A process deleted a thousand answers a minute at most, and made hundreds of thousands."""
    await adb.execute(
        "insert into postmill.call_responses (call_id, method, url, attempts, created_by, created_at)"
        " select -n, 'GET', '', 1, current_user, now() - interval '7 hours' from generate_series(1, 2500) n"
    )
    await adb.execute(
        "insert into postmill.calls (method, url, timeout_ms, attempts, started_at, lost_at)"
        " select 'GET', 'http://x', 1, 1, now(), now() from generate_series(1, 1500)"
    )
    async with making_calls(database_url) as calling:
        await until(lambda: adb.fetchval("select count(*) = 1500 from postmill.call_responses"))
        assert calling.trouble is None
    assert await adb.fetchval("select bool_and(outcome_unknown) from postmill.call_responses")
    assert await adb.fetchval("select count(*) from postmill.calls") == 0


async def test_a_process_at_rest_sends_one_statement_a_look(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """It sent three, and twenty processes more than the twenty a second that are promised."""
    shared, events = SharedConnection(Address(database_url), "calls"), Events()
    outage = Outage(events, is_passing)
    outbound = Outbound(AddressGuard(), None, ProjectSecrets(dict))
    caller = Caller(shared, outbound, Answers(shared, events, outage), events, outage)
    await caller.run_once()
    before = shared.statements
    for _ in range(5):
        assert not await caller.run_once()
    assert shared.statements - before == 5
    await shared.close()


async def test_a_stop_waits_for_calls_that_run(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/slow"] = target.hang
    async with making_calls(database_url) as calling:
        call_id = await adb.fetchval(
            "select net.http_get($1, timeout_milliseconds => 30000)", target.url + "/slow"
        )
        await target.arrived.wait()
        stopping = asyncio.create_task(calling.stop())
        await asyncio.sleep(0)
        target.release.set()
        await stopping
    assert (await answered(adb, call_id))["status_code"] == 200


async def test_a_forced_stop_says_that_the_outcome_is_unknown(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/slow"] = target.hang
    async with making_calls(database_url) as calling:
        call_id = await adb.fetchval(
            "select net.http_get($1, timeout_milliseconds => 30000)", target.url + "/slow"
        )
        await target.arrived.wait()
        calling.force()
        await calling.stop()
        assert (await answered(adb, call_id))["outcome_unknown"]


LOOPBACK = ["127.0.0.1", "localhost", "0x7f.1", "0177.0.0.0x1", "[::ffff:7f00:1]", "0.0.0.0"]


@pytest.mark.parametrize("host", LOOPBACK)
async def test_no_spelling_of_a_private_address_gets_past_the_guard(
    database_url: str, adb: asyncpg.Connection, target: Target, host: str
) -> None:
    """A check of the URL's text, or of a resolver's answers, checks none of these. With the guard open each
    reaches the server: that is the control.
    """
    url = target.url.replace("127.0.0.1", host)
    async with making_calls(database_url, guard=AddressGuard()):
        found = await answered(adb, await adb.fetchval("select net.http_get($1)", url))
    assert (found["status_code"], target.seen) == (None, [])
    assert "is not a public address" in found["error_msg"]
    async with making_calls(database_url):
        found = await answered(adb, await adb.fetchval("select net.http_get($1)", url))
    assert found["status_code"] == 200


async def test_a_secret_is_filled_in_where_it_was_granted_and_never_in_a_body(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await adb.execute("select postmill.grant_secret('KEY', current_user::name)")
    asked = (
        target.url + "/{{secret:KEY}}",
        '{"x": "{{secret:KEY}}"}',
        '{"Authorization": "Bearer {{secret:KEY}}"}',
    )
    async with making_calls(database_url, secrets={"KEY": "s3cret", "OTHER": "o"}):
        call_id = await adb.fetchval("select net.http_post($1, $2, headers => $3)", *asked)
        found = await answered(adb, call_id)
        (request,) = target.seen
        assert (request.path, request.headers["Authorization"]) == ("/s3cret", "Bearer s3cret")
        assert json.loads(target.bodies[0]) == {"x": "{{secret:KEY}}"}
        broken = "select net.http_get('http://{{secret:KEY}}.invalid/')"
        failed = await answered(adb, await adb.fetchval(broken))
    assert "{{secret:KEY}}.invalid" in failed["error_msg"]
    kept = await adb.fetchval("select string_agg(r::text, '') from postmill.call_responses r")
    assert "s3cret" not in kept, "an error or a URL of a call shows the value"
    assert found["url"] == asked[0]


async def test_a_secret_that_is_not_kept_where_the_call_is_made(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await adb.execute("select postmill.grant_secret('KEY', current_user::name)")
    async with making_calls(database_url):
        call_id = await adb.fetchval("select net.http_get($1)", target.url + "/{{secret:KEY}}")
        found = await answered(adb, call_id)
    assert (found["error_msg"], target.seen) == ("there is no secret KEY where the call is made", [])


async def test_a_secret_that_was_revoked_before_the_call_is_sent(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await adb.execute("select postmill.grant_secret('KEY', current_user::name)")
    call_id = await adb.fetchval("select net.http_get($1)", target.url + "/{{secret:KEY}}")
    await adb.execute("select postmill.revoke_secret('KEY', current_user::name)")
    async with making_calls(database_url, secrets={"KEY": "s3cret"}):
        found = await answered(adb, call_id)
    assert target.seen == []
    assert found["error_msg"].startswith("role postgres may not use the secret KEY any more")


async def test_calls_outlive_a_crash_of_the_server(server: PrivateServer, target: Target) -> None:
    """A server crash emptied the request queue of pg_net: its tables are unlogged."""
    with session(server.url) as db:
        db.execute(b"select net.http_get($1)", [target.url + "/after"])
    server.stop("immediate")
    server.start()
    async with making_calls(server.url):
        await target.arrived.wait()
    assert target.at == {"/after": 1}


async def test_an_answer_that_can_not_be_stored_keeps_no_other(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await adb.execute(
        "alter table postmill.call_responses add constraint picky check (content is distinct from 'poison')"
    )
    target.answers["/poison"] = answering(200, "poison")
    async with making_calls(database_url):
        await adb.execute("select net.http_get($1 || n) from generate_series(1, 5) n", target.url + "/good")
        poisoned = await adb.fetchval("select net.http_get($1)", target.url + "/poison")
        await adb.execute("select net.http_get($1 || n) from generate_series(6, 9) n", target.url + "/good")
        found = await answered(adb, poisoned)
        await until(
            lambda: adb.fetchval("select count(*) = 9 from postmill.call_responses where content <> ''")
        )
    assert (found["status_code"], found["error_msg"]) == (
        200,
        "the answer can't be stored: CheckViolationError",
    )


async def test_odd_bytes_in_headers_and_contents_are_stored(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """PostgreSQL holds neither NUL nor half a character."""

    async def odd(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/\xff\xfe; charset=nonsense\r\nX-Odd: \xed\xa0\x80\r\n"
        request.transport.write(head + b"Content-Length: 4\r\n\r\na\x00\xffb")
        request.transport.close()
        return web.Response()

    target.answers["/odd"] = odd
    async with making_calls(database_url):
        found = await answered(adb, await adb.fetchval("select net.http_get($1)", target.url + "/odd"))
    assert found["status_code"] == 200
    assert found["content"] == "a\\x00\ufffdb"


async def test_large_answers_are_not_written_in_one_statement(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/large"] = answering(200, "x" * (MOST_BYTES - 1))
    async with making_calls(database_url):
        await adb.execute("select net.http_get($1) from generate_series(1, 12)", target.url + "/large")
        whole = "select count(*) = 12 from postmill.call_responses where length(content) = $1"
        await until(lambda: adb.fetchval(whole, MOST_BYTES - 1))
