"""A browser asks before it calls; nothing runs for a stranger who asks likewise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from postmill.model.errors import InvalidOption
from postmill.model.functions.failures import BootFailed, NoCapacity
from postmill.model.functions.settings import FunctionSettings
from tests.gateway import stand_in
from tests.gateway.conftest import KEYS, MOST_BYTES
from tests.gateway.test_requests import check_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.model.functions.failures import FunctionFailure
    from postmill.web.asgi import Receive, Scope, Send
    from tests.gateway.stand_in import StandInHost

PREFLIGHT = {
    "origin": "https://app.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, x-mine",
}
PATH = "/functions/v1/echo"


@pytest.fixture
async def stranger(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A caller without credentials."""
    async with httpx.AsyncClient(base_url=url) as opened:
        yield opened


async def ask(stranger: httpx.AsyncClient, **without: bool) -> httpx.Response:
    """A preflight, with a body that no browser sends."""
    headers = {name: value for name, value in PREFLIGHT.items() if name.replace("-", "_") not in without}
    return await stranger.request("OPTIONS", PATH, headers=headers, content=b"delete everything")


def check_allowed(response: httpx.Response) -> None:
    """What the gateway answers."""
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == PREFLIGHT["origin"]
    assert response.headers["access-control-allow-headers"] == PREFLIGHT["access-control-request-headers"]
    assert "POST" in response.headers["access-control-allow-methods"]
    assert response.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("kind", ["handler", "worker"])
@pytest.mark.parametrize("preflight", ["", "gateway"])
async def test_the_gateway_answers(
    stranger: httpx.AsyncClient, host: StandInHost, kind: str, preflight: str
) -> None:
    """A handler that ignores the method ran for whoever sent OPTIONS."""
    host.kinds["echo"] = kind
    host.settings["echo"] = FunctionSettings(slug="echo", preflight=preflight)  # type: ignore[arg-type]
    check_allowed(await ask(stranger))
    assert host.calls == []


async def test_nothing_that_was_not_asked_for_is_allowed(stranger: httpx.AsyncClient) -> None:
    response = await ask(stranger, access_control_request_headers=True)
    assert response.status_code == 204
    assert "access-control-allow-headers" not in response.headers


@pytest.mark.parametrize("missing", ["origin", "access_control_request_method"])
@pytest.mark.parametrize("preflight", ["", "gateway", "function"])
async def test_any_other_options_needs_credentials(
    stranger: httpx.AsyncClient, host: StandInHost, missing: str, preflight: str
) -> None:
    host.kinds["echo"] = "app"
    host.settings["echo"] = FunctionSettings(slug="echo", preflight=preflight)  # type: ignore[arg-type]
    check_error(await ask(stranger, **{missing: True}), 401, "UNAUTHORIZED_NO_AUTH_HEADER", relay=True)
    assert host.calls == []
    known = await stranger.request("OPTIONS", PATH, headers={"apikey": KEYS.anon}, content=b"body")
    assert known.text == "body"


@pytest.mark.parametrize(("kind", "preflight"), [("app", ""), ("handler", "function"), ("app", "function")])
async def test_a_function_that_answers_is_asked_without_a_body(
    stranger: httpx.AsyncClient, host: StandInHost, kind: str, preflight: str
) -> None:
    host.kinds["echo"] = kind
    host.settings["echo"] = FunctionSettings(slug="echo", preflight=preflight)  # type: ignore[arg-type]
    response = await ask(stranger)
    assert (response.status_code, response.content) == (200, b"")
    (scope,) = host.calls
    names = {name for name, _ in scope["headers"]}
    assert {b"origin", b"access-control-request-method"} <= names
    assert names.isdisjoint({b"content-length", b"transfer-encoding"})


async def test_an_application_can_leave_it_to_the_gateway(
    stranger: httpx.AsyncClient, host: StandInHost
) -> None:
    host.kinds["echo"] = "app"
    host.settings["echo"] = FunctionSettings(slug="echo", preflight="gateway")
    check_allowed(await ask(stranger))
    assert host.calls == []


@pytest.mark.parametrize("failure", [BootFailed("no entry point"), NoCapacity("busy")])
async def test_a_browser_gets_to_see_why_a_function_does_not_start(
    stranger: httpx.AsyncClient, host: StandInHost, failure: FunctionFailure
) -> None:
    """It shows the answer of a call only when the preflight before has succeeded."""
    host.kinds["echo"] = failure
    check_allowed(await ask(stranger))


async def test_without_credentials_to_check_the_function_gets_it_all(
    stranger: httpx.AsyncClient, host: StandInHost
) -> None:
    host.settings["echo"] = FunctionSettings(slug="echo", verify_jwt=False)
    assert (await ask(stranger)).text == "delete everything"


async def test_the_body_of_a_preflight_is_not_kept(stranger: httpx.AsyncClient, host: StandInHost) -> None:
    host.kinds["echo"] = "app"
    response = await stranger.request("OPTIONS", PATH, headers=PREFLIGHT, content=b"x" * (MOST_BYTES * 3))
    assert (response.status_code, response.content) == (200, b"")


async def test_what_is_not_there_has_no_preflight(stranger: httpx.AsyncClient, host: StandInHost) -> None:
    host.apps["off"] = stand_in.hello
    host.settings["off"] = FunctionSettings(slug="off", enabled=False)
    for name in ("nobody", "off"):
        response = await stranger.request("OPTIONS", f"/functions/v1/{name}", headers=PREFLIGHT)
        check_error(response, 404, "NOT_FOUND", relay=True)


@pytest.mark.parametrize(
    ("kind", "origin", "given", "told"),
    [
        ("handler", True, [], "*"),
        ("handler", False, [], None),
        ("handler", True, [(b"Access-Control-Allow-Origin", b"https://a.example")], "https://a.example"),
        ("app", True, [], None),
    ],
)
async def test_what_was_let_through_may_be_read(
    stranger: httpx.AsyncClient,
    host: StandInHost,
    kind: str,
    given: list[tuple[bytes, bytes]],
    told: str | None,
    *,
    origin: bool,
) -> None:
    """A preflight that succeeds before an answer that can't be read helps nobody."""

    async def answering(_scope: Scope, _receive: Receive, send: Send) -> None:
        await stand_in.answer(send, b"ok", 200, *given)

    host.apps["echo"] = answering
    host.kinds["echo"] = kind
    headers = {"apikey": KEYS.anon} | ({"origin": PREFLIGHT["origin"]} if origin else {})
    response = await stranger.post(PATH, headers=headers)
    assert response.text == "ok"
    assert response.headers.get_list("access-control-allow-origin") == ([told] if told else [])


def test_a_word_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidOption, match="preflight"):
        FunctionSettings(slug="echo", preflight="always")  # type: ignore[arg-type]
