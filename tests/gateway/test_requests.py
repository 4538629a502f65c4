"""What reaches a function, what comes back, and what every platform error looks like."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from postmill.auth import keys
from postmill.gateway.application import Gateway
from postmill.gateway.platform_errors import METHODS
from postmill.gateway.readiness import Readiness
from postmill.model.functions import failures
from postmill.model.functions.settings import FunctionSettings
from tests.gateway import stand_in
from tests.gateway.conftest import KEYS, MOST_BYTES, TRUST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.web.asgi import Receive, Scope, Send
    from tests.gateway.stand_in import StandInHost

SERVICE = {"authorization": f"Bearer {KEYS.secret}"}


def check_error(response: httpx.Response, status: int, code: str, *, relay: bool) -> None:
    """The form of every platform error."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body["code"] == code
    assert set(body) == {"code", "message", "msg", "error"}
    assert all(isinstance(value, str) and value for value in body.values())
    assert response.headers["sb-error-code"] == code
    assert response.headers.get("x-relay-error") == ("true" if relay else None)
    assert response.headers["access-control-allow-origin"] == "*"
    assert "sb-error-code" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize("method", METHODS)
async def test_every_method_reaches_the_function(
    client: httpx.AsyncClient, host: StandInHost, method: str
) -> None:
    response = await client.request(method, "/functions/v1/hello/deep/er?x=1&x=2")
    assert response.status_code == 200
    (scope,) = host.calls
    assert scope["method"] == method
    assert scope["root_path"] == "/functions/v1/hello"
    assert scope["path"] == "/functions/v1/hello/deep/er"
    assert scope["query_string"] == b"x=1&x=2"


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "LOCK"])
async def test_other_methods_are_refused(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "/functions/v1/hello")
    check_error(response, 405, "METHOD_NOT_ALLOWED", relay=True)
    assert response.headers["allow"] == ", ".join(METHODS)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/functions/v1",
        "/functions/v1/",
        "/functions/v1/nobody",
        "/functions/v1/_shared",
        "/functions/v1/%2e%2e/%2e%2e/etc/passwd",
        "/functions/v1/..%2fhello",
        "/functions/v1/hello%00",
        "/functions/v1/hello%0d%0ax-evil:1",
        "/functions/v1/%ff",
        "/functions/v1/" + "a" * 4000,
        "/functions/v2/hello",
        "//functions/v1/hello",
        "/control/v1",
    ],
)
async def test_what_names_no_function_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(
        client.base_url.join(path) if not path.startswith("//") else f"{client.base_url}{path}"
    )
    check_error(response, 404, "NOT_FOUND", relay=True)


async def test_a_disabled_function_is_not_found(client: httpx.AsyncClient, host: StandInHost) -> None:
    host.settings["hello"] = FunctionSettings(slug="hello", enabled=False)
    check_error(await client.get("/functions/v1/hello"), 404, "NOT_FOUND", relay=True)


async def test_credentials_are_asked_for_unless_the_function_wants_none(url: str, host: StandInHost) -> None:
    async with httpx.AsyncClient(base_url=url) as stranger:
        response = await stranger.post("/functions/v1/hello")
        check_error(response, 401, "UNAUTHORIZED_NO_AUTH_HEADER", relay=True)
        check_error(
            await stranger.options("/functions/v1/hello"), 401, "UNAUTHORIZED_NO_AUTH_HEADER", relay=True
        )
        assert (
            await stranger.get("/functions/v1/hello", headers={"apikey": KEYS.publishable})
        ).text == "hello"
        forged = {"authorization": f"Bearer {keys.make(1.0).anon}"}
        check_error(
            await stranger.get("/functions/v1/hello", headers=forged),
            401,
            "UNAUTHORIZED_LEGACY_JWT",
            relay=True,
        )
        host.settings["hello"] = FunctionSettings(slug="hello", verify_jwt=False)
        assert (await stranger.get("/functions/v1/hello", headers=forged)).text == "hello"


@pytest.mark.parametrize(
    ("failure", "status", "code", "relay"),
    [
        (failures.FunctionNotFound("gone"), 404, "NOT_FOUND", True),
        (failures.BootFailed("no entry point"), 503, "BOOT_ERROR", True),
        (failures.NoCapacity("busy"), 503, "CAPACITY", True),
        (failures.FunctionDied("SIGSEGV"), 500, "WORKER_ERROR", False),
        (failures.LimitReached("memory"), 546, "WORKER_LIMIT", False),
        (failures.ResponseTimeout("150 s"), 504, "IDLE_TIMEOUT", False),
        (failures.HandlerRaised("it raised", why="Traceback: secret"), 500, "EDGE_FUNCTION_ERROR", False),
        (ZeroDivisionError("secret"), 500, "INTERNAL", False),
    ],
)
async def test_every_failure_has_its_answer_and_tells_no_cause(
    client: httpx.AsyncClient, host: StandInHost, failure: Exception, status: int, code: str, *, relay: bool
) -> None:
    host.apps["bad"] = stand_in.failing(failure)
    response = await client.post("/functions/v1/bad")
    check_error(response, status, code, relay=relay)
    assert "secret" not in response.text


async def test_a_response_that_fails_after_its_start_is_cut(
    client: httpx.AsyncClient, host: StandInHost
) -> None:
    async def half(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise failures.ResponseCut(failures.FunctionDied("gone"))

    host.apps["half"] = half
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/functions/v1/half")


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, [(b"x-evil", b"a\r\nset-cookie: b")]),
        (200, [(b"x evil", b"a")]),
        (200, [(b"x-evil", b"a\0")]),
        (200, [(b"", b"a")]),
        (200, [(b"content-length", b"-1")]),
        (200, [(b"content-length", b"one")]),
        (200, [(b"content-length", b"1"), (b"Content-Length", b"2")]),
        (99, []),
        (100, []),
        (1000, []),
        ("200", []),
    ],
)
async def test_a_response_that_no_client_could_read_is_an_error_of_the_function(
    client: httpx.AsyncClient, host: StandInHost, status: Any, headers: list[tuple[bytes, bytes]]
) -> None:
    async def bad(_scope: Scope, _receive: Receive, send: Send) -> None:
        await stand_in.answer(send, b"x", status, *headers)

    host.apps["bad"] = bad
    response = await client.get("/functions/v1/bad")
    check_error(response, 500, "EDGE_FUNCTION_ERROR", relay=False)
    assert "x-evil" not in response.headers


@pytest.mark.parametrize("length", [b"1", b"100"])
async def test_a_body_that_does_not_fit_its_length_is_cut(
    client: httpx.AsyncClient, host: StandInHost, length: bytes
) -> None:
    async def lying(_scope: Scope, _receive: Receive, send: Send) -> None:
        await stand_in.answer(send, b"four", 200, (b"content-length", length))

    host.apps["lying"] = lying
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/functions/v1/lying")
    assert (await client.get("/functions/v1/hello")).text == "hello"


async def test_headers_of_the_connection_are_not_the_functions(
    client: httpx.AsyncClient, host: StandInHost
) -> None:
    async def pushy(_scope: Scope, _receive: Receive, send: Send) -> None:
        pushed = [(b"Connection", b"close"), (b"Transfer-Encoding", b"identity"), (b"X-Kept", b"1")]
        await stand_in.answer(send, b"fine", 200, *pushed)

    host.apps["pushy"] = pushy
    response = await client.get("/functions/v1/pushy")
    assert (response.text, response.headers["x-kept"]) == ("fine", "1")
    assert "connection" not in response.headers


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_gets_none(
    client: httpx.AsyncClient, host: StandInHost, status: int
) -> None:
    async def chatty(_scope: Scope, _receive: Receive, send: Send) -> None:
        await stand_in.answer(send, b"chatter", status, (b"content-length", b"7"))

    host.apps["chatty"] = chatty
    response = await client.get("/functions/v1/chatty")
    assert (response.status_code, response.content) == (status, b"")
    assert (await client.get("/functions/v1/hello")).text == "hello"


async def test_a_body_up_to_the_limit_is_taken_and_no_more(
    client: httpx.AsyncClient, host: StandInHost
) -> None:
    assert len((await client.post("/functions/v1/echo", content=b"x" * MOST_BYTES)).content) == MOST_BYTES
    calls = len(host.calls)
    response = await client.post("/functions/v1/echo", content=b"x" * (MOST_BYTES + 1))
    check_error(response, 413, "PAYLOAD_TOO_LARGE", relay=True)
    assert len(host.calls) == calls


async def test_a_body_of_unknown_length_is_counted(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 1000

    response = await client.post("/functions/v1/echo", content=endless())
    check_error(response, 413, "PAYLOAD_TOO_LARGE", relay=False)


async def test_a_stream_arrives_event_by_event(client: httpx.AsyncClient, host: StandInHost) -> None:
    """The second event is sent only once the first has been read."""
    read = asyncio.Event()

    async def events(_scope: Scope, _receive: Receive, send: Send) -> None:
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await read.wait()
        await send({"type": "http.response.body", "body": b"data: 2\n\n", "more_body": False})

    host.apps["events"] = events
    seen = []
    async with client.stream("GET", "/functions/v1/events") as response:
        async for chunk in response.aiter_text():
            seen.append(chunk)
            read.set()
    assert seen == ["data: 1\n\n", "data: 2\n\n"]


async def test_a_caller_that_leaves_is_told_to_the_function(
    client: httpx.AsyncClient, host: StandInHost
) -> None:
    gone = asyncio.Event()

    async def waiting(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    host.apps["waiting"] = waiting
    async with client.stream("POST", "/functions/v1/waiting") as response:
        await anext(response.aiter_bytes())
    async with asyncio.timeout(30):
        await gone.wait()


@pytest.mark.parametrize(
    ("path", "header", "echoed"),
    [
        ("/functions/v1/hello", "eu-west-1", "eu-west-1"),
        ("/functions/v1/hello?a=1&forceFunctionRegion=us-east-1", None, "us-east-1"),
        ("/functions/v1/nobody", "eu-west-1", "eu-west-1"),
        ("/functions/v1/hello", "no such region!", None),
        ("/functions/v1/hello?forceFunctionRegion=%0d%0aevil", None, None),
        ("/functions/v1/hello", None, None),
    ],
)
async def test_a_region_is_echoed(
    client: httpx.AsyncClient, path: str, header: str | None, echoed: str | None
) -> None:
    response = await client.get(path, headers={"x-region": header} if header else {})
    assert response.headers.get("x-sb-edge-region") == echoed


async def test_control_needs_the_service_role(client: httpx.AsyncClient, url: str, host: StandInHost) -> None:
    check_error(await client.get("/control/v1/functions"), 403, "FORBIDDEN", relay=True)
    async with httpx.AsyncClient(base_url=url) as stranger:
        response = await stranger.get("/control/v1/functions")
        check_error(response, 401, "UNAUTHORIZED_NO_AUTH_HEADER", relay=True)
        listed = (await stranger.get("/control/v1/functions", headers=SERVICE)).json()
        assert [each["function"] for each in listed] == ["echo", "hello", "talk"]
        assert (await stranger.post("/control/v1/functions/echo/stop", headers=SERVICE)).json()[
            "status"
        ] == "stopped"
        assert host.stopped == ["echo"]
        started = await stranger.post("/control/v1/functions/echo/start", headers=SERVICE)
        assert (started.json()["status"], host.started) == ("started", ["echo"])
        recycled = await stranger.post("/control/v1/functions/hello/recycle", headers=SERVICE)
        assert recycled.json() == {"status": "recycled", "functionName": "hello"}
        assert host.recycled == ["hello"]
        refused = await stranger.post("/control/v1/functions/hello/recycle")
        check_error(refused, 401, "UNAUTHORIZED_NO_AUTH_HEADER", relay=True)
        for path in (
            "functions/nobody/stop",
            "functions/nobody/recycle",
            "functions/echo/begin",
            "nothing",
            "",
        ):
            response = await stranger.post(f"/control/v1/{path}", headers=SERVICE)
            check_error(response, 404, "NOT_FOUND", relay=True)


async def test_the_probes_need_nothing(url: str) -> None:
    async with httpx.AsyncClient(base_url=url) as stranger:
        assert (await stranger.get("/live")).json() == {"status": "ok"}
        assert (await stranger.get("/ready")).json() == {"status": "ok"}


async def test_nothing_should_be_sent_where_nothing_is_ready(host: StandInHost) -> None:
    """Alive all the time, and ready between the start and the end as long as the database answers."""
    database = {"answers": True}

    async def answers() -> bool:
        return database["answers"]

    async def told(path: str) -> tuple[int, str]:
        response = await caller.get(path)
        return response.status_code, response.json().get("message", "")

    readiness = Readiness(answers)
    app = Gateway(host, TRUST, max_body_bytes=MOST_BYTES, readiness=readiness)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as caller:
        check_error(await caller.get("/ready"), 503, "NOT_READY", relay=True)
        assert await told("/ready") == (503, "Not ready: starting.")
        readiness.started()
        assert await told("/ready") == (200, "")
        database["answers"] = False
        assert await told("/ready") == (503, "Not ready: the database does not answer.")
        assert await told("/live") == (200, "")
        database["answers"] = True
        assert await told("/ready") == (200, "")
        reasons = ["the function jobs does not start"]
        readiness.checks.append(lambda: next(iter(reasons), None))
        assert await told("/ready") == (503, "Not ready: the function jobs does not start.")
        reasons.clear()
        assert await told("/ready") == (200, "")
        readiness.stopping()
        readiness.started()
        assert await told("/ready") == (503, "Not ready: stopping.")
        assert await told("/live") == (200, "")


@pytest.mark.parametrize(
    ("size", "code"), [(MOST_BYTES + 1, "PAYLOAD_TOO_LARGE"), (1, "EDGE_FUNCTION_ERROR")]
)
async def test_a_failure_is_raised_where_it_shows_and_answered_once(
    client: httpx.AsyncClient, host: StandInHost, size: int, code: str
) -> None:
    """What reads the body, and what sends the answer, gets the failure itself; nothing asks for it later."""
    raised: list[str] = []

    async def watching(_scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
            await stand_in.answer(send, b"x", 99)
        except Exception as error:
            raised.append(type(error).__name__)
            raise

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * size

    host.apps["watching"] = watching
    response = await client.post("/functions/v1/watching", content=body())
    assert (response.json()["code"], len(raised)) == (code, 1)
    assert response.headers["sb-error-code"] == code


async def test_every_control_route_needs_the_service_role_also_those_that_do_not_exist(url: str) -> None:
    """A stranger learns from no answer which control routes there are."""
    async with httpx.AsyncClient(base_url=url) as stranger:
        for path in ("functions", "functions/echo/stop", "functions/nobody/recycle", "nothing", ""):
            for method in ("GET", "POST", "DELETE"):
                refused = await stranger.request(method, f"/control/v1/{path}")
                check_error(refused, 401, "UNAUTHORIZED_NO_AUTH_HEADER", relay=True)
