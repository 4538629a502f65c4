"""Flows over HTTP: runs are started, read, steered and watched; who may do what; and what is answered when
not.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
import pytest_asyncio

from postmill.auth import run_token, viewer_token
from postmill.auth.credentials import Granted
from postmill.flows import watching
from postmill.gateway import run_events
from postmill.gateway.application import Gateway
from postmill.gateway.flows import Flows
from postmill.gateway.platform_errors import rendered
from postmill.model.flow.shape import FlowShape, StepShape
from postmill.web.limits import ConnectionLimits
from postmill.web.server import WebServer
from tests.gateway.conftest import KEYS, MOST_BYTES, TRUST
from tests.gateway.stand_in import StandInHost, hello
from tests.gateway.test_requests import check_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tests.servers import PrivateServer

GIVE_UP_S = 60
CHAIN = FlowShape(
    (StepShape(name="first"), StepShape(name="ask", kind="wait", signal="asked", needs=("first",)))
)
OTHERS = (
    "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
)


@pytest_asyncio.fixture
async def flows_url(database_url: str) -> AsyncIterator[str]:
    """The address of a gateway over the test's database."""
    async for url in gateway(database_url):
        yield url


async def gateway(database_url: str) -> AsyncIterator[str]:
    host = StandInHost(hello=hello)
    app = Gateway(host, TRUST, max_body_bytes=MOST_BYTES, flows=Flows(database_url, TRUST))
    server = WebServer(
        "127.0.0.1", 0, limits=ConnectionLimits(), max_message_bytes=MOST_BYTES, render=rendered
    )
    try:
        yield await server.start(app)
    finally:
        await server.stop(0.1)
        await app.close()


@pytest_asyncio.fixture
async def service(flows_url: str, adb: asyncpg.Connection[Any]) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the secret key; the flow is known."""
    shape = json.dumps(CHAIN.as_json())
    await adb.execute("select postmill.register_flow('f', 'graph', 'f', $1::jsonb, '{}')", shape)
    headers = {"apikey": KEYS.secret}
    async with httpx.AsyncClient(base_url=flows_url + "/flows/v1", headers=headers, timeout=30) as opened:
        yield opened


async def started(service: httpx.AsyncClient, **options: Any) -> dict[str, Any]:
    """A new run, as its start was answered."""
    answer = await service.post("/f/runs", json={"a": 1}, **options)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def settle(adb: asyncpg.Connection[Any], run_id: int, step: str = "first") -> None:
    """A step is done."""
    await adb.execute("select postmill._settle_steps($1, $2, $3, '{\"1\"}')", [run_id], [step], [None])


async def test_a_run_is_started_read_and_listed(
    service: httpx.AsyncClient, adb: asyncpg.Connection[Any]
) -> None:
    run = await started(service, params={"tags": "x,y", "priority": 3, "deadline": 60})
    await settle(adb, run["run_id"])
    shown = (await service.get(f"/runs/{run['run_id']}")).json()
    assert (shown["flow"], shown["state"], shown["input"]) == ("f", "waiting", {"a": 1})
    assert (shown["tags"], shown["priority"]) == (["x", "y"], 3)
    assert [(step["step"], step["state"]) for step in shown["steps"]] == [
        ("first", "completed"),
        ("ask", "started"),
    ]
    assert (await service.get(f"/runs/{run['run_id']}/outputs/first")).json() == 1
    other = await started(service)
    ids = [each["run_id"] for each in (await service.get("/runs")).json()]
    assert ids == [other["run_id"], run["run_id"]]
    queries: tuple[dict[str, str | int], ...] = (
        {"tag": "x"},
        {"before": other["run_id"]},
        {"flow": "f", "limit": 1, "tag": "y", "state": "waiting"},
    )
    for query in queries:
        found = (await service.get("/runs", params=query)).json()
        assert [each["run_id"] for each in found] == [run["run_id"]]
    assert (await service.get("/runs", params={"flow": "other"})).json() == []


async def test_an_input_that_does_not_fit_starts_nothing(
    service: httpx.AsyncClient, adb: asyncpg.Connection[Any]
) -> None:
    chosen = {"input": {"accepts": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
    register = "select postmill.register_flow('f', 'graph', 'f', $1::jsonb, $2::jsonb)"
    await adb.execute(register, json.dumps(CHAIN.as_json()), json.dumps(chosen))
    refused = await service.post("/f/runs", json={"a": "1"})
    check_error(refused, 400, "BAD_REQUEST", relay=False)
    assert "'f': $.a: expected integer, got string" in refused.text
    run = (await started(service, params={"version": 1}))["run_id"]
    forked = await service.post(f"/runs/{run}/fork", json={"input": {"a": []}})
    check_error(forked, 400, "BAD_REQUEST", relay=False)
    anew = await service.post(f"/runs/{run}/fork", json={"input": {"a": 2}})
    assert (anew.status_code, anew.json()["forked_from"]) == (201, run)
    check_error(await service.post("/f/runs", params={"version": 2}), 404, "NOT_FOUND", relay=False)
    kept = await adb.fetchval("select array_agg(input ->> 'a' order by run_id) from postmill.runs")
    assert kept == ["1", "2"]


async def test_a_key_starts_one_run(service: httpx.AsyncClient) -> None:
    """With its quotes, as the header's draft has them, it is the same key."""
    run = await started(service, headers={"idempotency-key": "order 1"})
    again = await service.post("/f/runs", json={"a": 1}, headers={"idempotency-key": '"order 1"'})
    assert (again.status_code, again.json()["run_id"], again.json()["existed"]) == (200, run["run_id"], True)
    assert not run["existed"]
    other = await service.post("/f/runs", json={"a": 2}, headers={"idempotency-key": "order 1"})
    check_error(other, 409, "KEY_CONFLICT", relay=False)


async def test_starts_that_race_with_one_key_make_one_run(service: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "k"}
    answers = await asyncio.gather(*(service.post("/f/runs", json={}, headers=headers) for _ in range(8)))
    assert sorted(each.status_code for each in answers) == [200] * 7 + [201]
    assert len({each.json()["run_id"] for each in answers}) == 1


async def test_a_run_is_steered(service: httpx.AsyncClient, adb: asyncpg.Connection[Any]) -> None:
    run = (await started(service))["run_id"]
    paused = await service.post(f"/runs/{run}/pause", json={"reason": "the shop is closed"})
    assert paused.json() == {"run_id": run, "state": "paused"}
    reason = await adb.fetchval("select reason from postmill.runs where run_id = $1", run)
    assert reason.endswith(": the shop is closed")
    assert (await service.post(f"/runs/{run}/resume")).json() == {"run_id": run, "state": "running"}
    await settle(adb, run)
    answer = await service.post(f"/runs/{run}/signals/asked", json={"ok": True})
    assert answer.json() == {"run_id": run, "taken": True}
    assert (await service.get(f"/runs/{run}")).json()["output"] == {"ask": {"ok": True}}
    check_error(await service.post(f"/runs/{run}/signals/asked"), 409, "CONFLICT", relay=False)
    check_error(await service.post(f"/runs/{run}/approvals/ask"), 409, "CONFLICT", relay=False)
    check_error(await service.post(f"/runs/{run}/cancel"), 409, "CONFLICT", relay=False)
    check_error(await service.post(f"/runs/{run}/pause"), 409, "CONFLICT", relay=False)
    fork = await service.post(f"/runs/{run}/fork", json={"step": "first", "input": {"a": 2}})
    assert (fork.status_code, fork.json()["forked_from"]) == (201, run)
    forked = fork.json()["run_id"]
    cancelled = await service.post(f"/runs/{forked}/cancel", json={"reason": "enough"})
    assert cancelled.json() == {"run_id": forked, "cancelled": True}
    again = await service.post(f"/runs/{forked}/cancel")
    check_error(again, 409, "CONFLICT", relay=False)
    assert "It is cancelled." in again.text
    assert "enough" in (await service.get(f"/runs/{forked}")).json()["reason"]
    assert (await service.post(f"/runs/{forked}/retry")).json() == {"run_id": forked, "state": "running"}
    await settle(adb, forked)
    approved = await service.post(f"/runs/{forked}/approvals/ask", json=False)
    assert approved.json()["taken"] is True
    assert (await service.get(f"/runs/{forked}/outputs/ask")).json() is False, "false is an answer"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/f/runs", b"{", 400, "BAD_REQUEST"),
        ("POST", "/f/runs", b'{"a": NaN}', 400, "BAD_REQUEST"),
        ("POST", "/f/runs", b'"\\u0000"', 400, "BAD_REQUEST"),
        ("POST", "/f/runs", b'"\\ud800"', 400, "BAD_REQUEST"),
        ("POST", "/f/runs", b"\xff", 400, "BAD_REQUEST"),
        ("POST", "/f/runs", b"[" * 5000, 400, "BAD_REQUEST"),
        ("POST", "/f/runs?delay=soon", b"", 400, "BAD_REQUEST"),
        ("POST", "/f/runs?delay=nan", b"", 400, "BAD_REQUEST"),
        ("POST", "/f/runs?priority=10", b"", 400, "BAD_REQUEST"),
        ("POST", "/f/runs?priorty=1", b"", 400, "BAD_REQUEST"),
        ("POST", "/f/runs", b"1" * (MOST_BYTES + 1), 413, "PAYLOAD_TOO_LARGE"),
        ("POST", "/none/runs", b"", 404, "NOT_FOUND"),
        ("POST", "/%00/runs", b"", 400, "BAD_REQUEST"),
        ("GET", "/f/runs", b"", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/runs?limit=0", b"", 400, "BAD_REQUEST"),
        ("GET", "/runs?limit=x", b"", 400, "BAD_REQUEST"),
        ("GET", "/runs?before=" + "9" * 30, b"", 400, "BAD_REQUEST"),
        ("GET", "/runs/999", b"", 404, "NOT_FOUND"),
        ("GET", "/runs/x", b"", 404, "NOT_FOUND"),
        ("GET", "/runs/" + "9" * 5000, b"", 404, "NOT_FOUND"),
        ("GET", "/runs/999/events", b"", 404, "NOT_FOUND"),
        ("GET", "/runs/999/outputs/x", b"", 404, "NOT_FOUND"),
        ("POST", "/runs/999/cancel", b"", 404, "NOT_FOUND"),
        ("POST", "/runs/999/pause", b"", 404, "NOT_FOUND"),
        ("POST", "/runs/999/fork", b'{"step": "x"}', 404, "NOT_FOUND"),
        ("POST", "/runs/999/fork", b'{"step": 1}', 400, "BAD_REQUEST"),
        ("POST", "/runs/999/fork", b"[]", 400, "BAD_REQUEST"),
        ("POST", "/runs/999/signals/x", b"", 404, "NOT_FOUND"),
        ("POST", "/runs/999/signals/x?many=1", b"", 400, "BAD_REQUEST"),
        ("POST", "/runs/999/approvals/x", b"", 404, "NOT_FOUND"),
        ("POST", "/runs/999/token", b"", 404, "NOT_FOUND"),
        ("POST", "/runs/999/cancel", b'{"reason": 1}', 400, "BAD_REQUEST"),
        ("POST", "/runs/999/cancel", b'{"why": "x"}', 400, "BAD_REQUEST"),
    ],
)
async def test_what_can_not_be_done_is_told(
    service: httpx.AsyncClient, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    answer = await service.request(method, path, content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def all_routes(run: int) -> list[tuple[str, str]]:
    """Each with what it does, but for the two that a run's token opens."""
    posts = ("cancel", "pause", "resume", "retry", "fork", "token", "signals/x", "approvals/x")
    return [("POST", "/f/runs"), ("GET", "/runs"), *(("POST", f"/runs/{run}/{each}") for each in posts)]


async def test_everything_needs_the_service_role(service: httpx.AsyncClient) -> None:
    run = (await started(service))["run_id"]
    reads = [("GET", f"/runs/{run}"), ("GET", f"/runs/{run}/events"), ("GET", f"/runs/{run}/outputs/first")]
    for method, path in [*all_routes(run), *reads]:
        anonymous = await service.request(method, path, headers={"apikey": KEYS.anon})
        assert (anonymous.status_code, anonymous.json()["code"]) == (403, "FORBIDDEN"), path
        nobody = await service.request(method, path, headers={"apikey": ""})
        assert nobody.status_code == 401, path


async def test_the_token_of_a_run_reads_that_run_and_nothing_else(
    service: httpx.AsyncClient, flows_url: str
) -> None:
    """Also not a function: a page that watches a run has it."""
    run, other = await started(service), await started(service)
    run_id = run["run_id"]
    async with httpx.AsyncClient(base_url=flows_url + "/flows/v1") as page:
        headers = {"authorization": f"Bearer {run['token']}"}
        assert (await page.get(f"/runs/{run_id}", headers=headers)).json()["run_id"] == run_id
        assert (await page.get(f"/runs/{run_id}", params={"token": run["token"]})).status_code == 200
        assert (await page.get(f"/runs/{other['run_id']}", headers=headers)).status_code == 403
        assert (await page.get(f"/runs/{other['run_id']}", params={"token": run["token"]})).status_code == 403
        for method, path in all_routes(run_id):
            assert (await page.request(method, path, headers=headers)).status_code == 403, path
        for path in ("/functions/v1/hello", "/control/v1/functions"):
            assert (await page.get(flows_url + path, headers=headers)).status_code == 403
        assert (await page.get(f"/runs/{run_id}", params={"token": KEYS.secret})).status_code == 403
        assert (await page.get(f"/runs/{run_id}", params={"token": KEYS.service_role})).status_code == 403


@pytest.mark.parametrize("role", viewer_token.ROLES)
async def test_a_key_to_the_dashboard_opens_nothing_here(
    service: httpx.AsyncClient, flows_url: str, role: str
) -> None:
    """It is signed with the secret that signs users' tokens, and was taken for one."""
    run_id = (await started(service))["run_id"]
    key = viewer_token.issue(KEYS, "ada", role, time.time(), 60)
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}) as page:
        for path in ("/functions/v1/hello", "/control/v1/functions"):
            assert (await page.get(flows_url + path)).status_code == 403, path
    for method, path in all_routes(run_id):
        answer = await service.request(method, path, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 403, path


async def test_a_token_ends(service: httpx.AsyncClient) -> None:
    run_id = (await started(service))["run_id"]
    old = run_token.issue(KEYS, run_id, time.time() - run_token.LIFE_S - 10)
    answer = await service.get(f"/runs/{run_id}", headers={"authorization": f"Bearer {old}"})
    check_error(answer, 401, "UNAUTHORIZED_LEGACY_JWT", relay=True)
    again = (await service.post(f"/runs/{run_id}/token")).json()
    assert again["expires_in"] == run_token.LIFE_S
    headers = {"authorization": f"Bearer {again['token']}"}
    assert (await service.get(f"/runs/{run_id}", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [{"role": "postmill_run", "run": 1}, {"role": "postmill_run", "aud": "postmill:run", "run": True}]
    + [{"role": "postmill_run", "aud": "postmill:run", "run": run} for run in ("1", 1.0, None, [1], 2)]
    + [{"role": "authenticated", "aud": "postmill:run", "run": 1}],
)
def test_what_only_looks_like_the_token_of_a_run_opens_nothing(claims: dict[str, Any]) -> None:
    """Users' tokens are signed with the same secret, and may have any claims."""
    assert not run_token.opens(Granted(claims["role"], claims), 1)


def test_a_function_that_verifies_users_refuses_the_token_of_a_run() -> None:
    """It was taken for a user's wherever the signature alone was looked at."""
    token = run_token.issue(KEYS, 1, time.time())
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, KEYS.jwt_secret, ["HS256"])


async def test_a_browser_may_ask_and_read(service: httpx.AsyncClient) -> None:
    run = await started(service)
    path = f"/runs/{run['run_id']}/events"
    asking = {
        "origin": "https://app.example",
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization",
        "apikey": "",
    }
    asked = await service.request("OPTIONS", path, headers=asking)
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "https://app.example")
    assert asked.headers["access-control-allow-headers"] == "authorization"
    url = f"/runs/{run['run_id']}"
    headers = {"origin": "https://app.example", "authorization": f"Bearer {run['token']}", "apikey": ""}
    read = await service.get(url, headers=headers)
    assert read.headers["access-control-allow-origin"] == "*"


class Events:
    """A client of server-sent events."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.last_id: str = ""

    async def next(self) -> tuple[str, Any]:
        """The next event's name and data; a comment has the name ":"."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(GIVE_UP_S):
            async for line in self._lines:
                if line == ":":
                    fields = {"event": ":", "data": "null"}
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields:
                    self.last_id = fields.get("id", self.last_id)
                    return fields["event"], json.loads(fields["data"])
        raise EOFError


NO_MAP = {"tasks": None, "tasks_left": None, "reason": None, "attempts": None}
FIRST = {"step": "first", "state": "started", **NO_MAP}
RUNNING = {"state": "running", "culprit": None, "reason": None}


async def test_events_are_streamed_and_a_stream_goes_on(
    service: httpx.AsyncClient, adb: asyncpg.Connection[Any]
) -> None:
    run = (await started(service))["run_id"]
    async with service.stream("GET", f"/runs/{run}/events") as response:
        assert response.headers["content-type"] == "text/event-stream"
        events = Events(response)
        told = [("run", RUNNING), ("step", FIRST)]
        assert await events.next() == told[0]
        assert events.last_id == "", "a part of a batch is told again"
        assert await events.next() == told[1]
        seen = events.last_id
        assert seen.isdigit()
    await settle(adb, run)
    headers = {"last-event-id": seen}
    async with service.stream("GET", f"/runs/{run}/events", headers=headers) as response:
        events = Events(response)
        completed = ("step", {**FIRST, "state": "completed"})
        while (event := await events.next()) != completed:
            now = ("run", {**RUNNING, "state": "waiting"})  # of its steps only the wait is left
            assert event in [*told, now], "it may be told again while a transaction is open elsewhere"
        assert await events.next() == ("step", {**FIRST, "step": "ask"})
        await adb.execute(
            "insert into postmill.run_events (run_id, step, name, value) values ($1, 'first', 'n', '[0]')",
            run,
        )
        await adb.execute("select postmill._tell_watchers($1)", [run])
        assert await events.next() == ("emitted", {"name": "n", "value": [0], "step": "first"})
        await service.post(f"/runs/{run}/signals/asked", json=0)
        assert (await events.next())[1] == {**FIRST, "step": "ask", "state": "completed"}
        assert await events.next() == ("run", {**RUNNING, "state": "completed"})
        with pytest.raises(EOFError):
            await events.next()
    headers = {"last-event-id": events.last_id}
    over = await service.get(f"/runs/{run}/events", headers=headers)
    assert (over.status_code, over.content) == (204, b""), "else a browser would ask again for ever"
    check_error(
        await service.get(f"/runs/{run}/events", headers={"last-event-id": "x"}),
        400,
        "BAD_REQUEST",
        relay=False,
    )


async def test_a_stream_with_nothing_to_say_is_kept_alive(
    service: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_events, "KEEP_ALIVE_S", 0.01)
    monkeypatch.setattr(watching, "FLOOR_S", 0.02)
    run = (await started(service))["run_id"]
    async with service.stream("GET", f"/runs/{run}/events") as response:
        events = Events(response)
        while (await events.next())[0] != ":":
            pass


async def test_a_client_that_goes_frees_everything(
    service: httpx.AsyncClient, adb: asyncpg.Connection[Any]
) -> None:
    run = (await started(service))["run_id"]
    for _ in range(3):
        async with service.stream("GET", f"/runs/{run}/events") as response:
            events = Events(response)  # unreferenced, its iterator would end the stream
            await events.next()
            assert await adb.fetchval("select count(*) from postmill.waiters") == 1
    async with asyncio.timeout(GIVE_UP_S):
        while await adb.fetchval("select count(*) from postmill.waiters"):  # noqa: ASYNC110 - nobody says it
            await asyncio.sleep(0.01)
        while await adb.fetchval(f"{OTHERS} and query ~* 'listen'"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_gateway_starts_without_its_database_and_serves_when_that_is_back(
    server: PrivateServer,
) -> None:
    url = server.url
    server.stop()
    async for address in gateway(url):
        async with httpx.AsyncClient(base_url=address, headers={"apikey": KEYS.secret}, timeout=60) as client:
            for method, path in [("POST", "/flows/v1/f/runs"), ("GET", "/flows/v1/runs/1/events")]:
                answer = await client.request(method, path)
                check_error(answer, 503, "DATABASE_UNAVAILABLE", relay=False)
                assert "sock" not in answer.text, "where the database is, is nobody's affair"
            assert (await client.get("/functions/v1/hello")).text == "hello"
            server.start()
            assert (await client.get("/flows/v1/runs")).json() == []


async def test_a_misspelt_name_is_told_with_the_nearest(service: httpx.AsyncClient) -> None:
    run = (await started(service))["run_id"]
    signalled = await service.post(f"/runs/{run}/signals/askd", json=1)
    check_error(signalled, 404, "NOT_FOUND", relay=False)
    assert "Its steps wait for: asked. Did you mean asked?" in signalled.text
    unknown = await service.get(f"/runs/{run}/outputs/frist")
    check_error(unknown, 404, "NOT_FOUND", relay=False)
    assert "Did you mean first?" in unknown.text
    await started(service)
    missing = await service.post("/F/runs", json={})
    assert (missing.status_code, "Did you mean f?" in missing.text) == (404, True)


async def test_a_signal_that_was_sent_before_is_no_conflict(
    service: httpx.AsyncClient, adb: asyncpg.Connection[Any]
) -> None:
    """Its sender may repeat it after a broken connection: the run goes on, and has it."""
    run = (await started(service))["run_id"]
    first, again = [await service.post(f"/runs/{run}/signals/asked", json=n) for n in (1, 2)]
    assert (first.json()["taken"], again.status_code, again.json()["taken"]) == (True, 200, False)
    await settle(adb, run)
    assert (await service.get(f"/runs/{run}/outputs/ask")).json() == 1
