"""Preflights: what a browser asks before it calls a function of another origin (Fetch standard, CORS).

They carry no credentials. The gateway answers them itself, so that no function runs for a stranger; where the
function shall answer, it is asked without a body. Where the gateway has answered, it also lets the browser
read the function's answer, unless the function says itself what may be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.gateway.platform_errors import METHODS, READABLE

if TYPE_CHECKING:
    from postmill.web.asgi import Message, Receive, Scope, Send

_OF_A_BODY = frozenset({b"content-length", b"transfer-encoding", b"content-type", b"content-encoding"})


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks, and not somebody who sends OPTIONS."""
    if scope.get("method") != "OPTIONS":
        return False
    names = {name for name, value in scope["headers"] if value}
    return {b"origin", b"access-control-request-method"} <= names


async def answer(scope: Scope, send: Send) -> None:
    """Allow the origin what it asks for. Whether it may do that is for its credentials to say, later."""
    origin = b", ".join(_values(scope, b"origin"))
    asked = b", ".join(_values(scope, b"access-control-request-headers"))
    headers = [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", ", ".join(METHODS).encode()),
        (b"vary", b"Origin"),
    ]
    if asked:
        headers.append((b"access-control-allow-headers", asked))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def without_body(scope: Scope) -> Scope:
    """The scope of a request that announces no body."""
    return {**scope, "headers": [each for each in scope["headers"] if each[0] not in _OF_A_BODY]}


def comes_from_a_page(scope: Scope) -> bool:
    """Whether a browser asks for a page that may be of another origin."""
    return scope["type"] == "http" and any(name == b"origin" for name, _ in scope["headers"])


def readable(send: Send) -> Send:
    """``send`` that lets every page read the answer. It takes credentials to get one."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if not any(name.lower() == READABLE[0][0] for name, _ in headers):
                message = {**message, "headers": [*headers, *READABLE]}
        await send(message)

    return sending


class BodyDropped:
    """``receive`` of a request whose body the function does not get."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_told = False

    async def __call__(self) -> Message:
        """An empty body, and then the end of the connection."""
        if not self._is_told:
            self._is_told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (message := await self._receive())["type"] == "http.request":
            pass
        return message


def _values(scope: Scope, wanted: bytes) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == wanted]
