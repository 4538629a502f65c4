"""A WebSocket through the gateway: accepted, refused, ended."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from postmill.model.functions.failures import BootFailed, FunctionDied, ResponseCut
from tests.gateway import stand_in
from tests.gateway.conftest import KEYS

if TYPE_CHECKING:
    from postmill.web.asgi import Receive, Scope, Send
    from tests.gateway.stand_in import StandInHost

HEADERS = {"apikey": KEYS.anon}


def at(url: str, slug: str) -> str:
    return url.replace("http://", "ws://") + f"/functions/v1/{slug}"


async def test_text_goes_both_ways(url: str, host: StandInHost) -> None:
    async with connect(at(url, "talk"), additional_headers=HEADERS) as socket:
        await socket.send("one")
        assert await socket.recv() == "one"
    assert host.calls[0]["root_path"] == "/functions/v1/talk"


async def test_strangers_and_failures_get_the_platform_error(url: str, host: StandInHost) -> None:
    host.apps["broken"] = stand_in.failing(BootFailed("no entry point"))
    for slug, headers, status, code in (
        ("talk", {}, 401, "UNAUTHORIZED_NO_AUTH_HEADER"),
        ("nobody", HEADERS, 404, "NOT_FOUND"),
        ("broken", HEADERS, 503, "BOOT_ERROR"),
    ):
        with pytest.raises(InvalidStatus) as raised:
            await connect(at(url, slug), additional_headers=headers)
        answer = raised.value.response
        assert answer.status_code == status
        assert json.loads(answer.body or b"")["code"] == code
        assert answer.headers["sb-error-code"] == code


async def test_a_client_that_leaves_is_no_failure(
    url: str, host: StandInHost, caplog: pytest.LogCaptureFixture
) -> None:
    """The function sends into nothing; that is the end of it, and not a bug of ours in the log."""
    ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def talkative(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "text": "tick"})
                await asyncio.sleep(0)
        finally:
            ended.set_result(True)

    host.apps["talkative"] = talkative
    async with connect(at(url, "talkative"), additional_headers=HEADERS) as socket:
        await socket.recv()
    assert await ended
    said = [record for record in caplog.records if record.name == "postmill"]
    assert [record.message for record in said if record.levelno > logging.INFO] == []


async def test_a_function_that_dies_closes_with_an_error(url: str, host: StandInHost) -> None:
    async def dying(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        raise ResponseCut(FunctionDied("gone"))

    host.apps["dying"] = dying
    async with connect(at(url, "dying"), additional_headers=HEADERS) as socket:
        with pytest.raises(ConnectionClosedError) as raised:
            await socket.recv()
    assert raised.value.rcvd is not None
    assert raised.value.rcvd.code == 1011
