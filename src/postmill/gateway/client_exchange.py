"""One request and its answer, watched: how much comes in, whether what goes out can be sent at all, and
whether it has begun. Knows no function, no credentials, no routes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from postmill.gateway.platform_errors import BODY_TOO_SLOW, PAYLOAD_TOO_LARGE, PlatformError
from postmill.model.functions.failures import HandlerRaised, ResponseCut
from postmill.web.pace import Pace, PacedBody

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postmill.web.asgi import Message, Receive, Scope, Send

_STARTS = {"http.response.start", "websocket.accept", "websocket.close", "websocket.http.response.start"}
_is_name = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_is_value = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch
_is_length = re.compile(rb"[0-9]{1,18}").fullmatch
_HOP_BY_HOP = {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
"""Headers that concern one connection, which is ours and not the function's."""
_WITHOUT_BODY = {204, 304}
_is_region = re.compile(rb"[A-Za-z0-9-]{1,40}").fullmatch
_forced_region = re.compile(rb"(?:^|&)forceFunctionRegion=([^&]*)").search


class ClientExchange:
    """``receive`` and ``send`` for whoever answers, over those of the server."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, max_body_bytes: int, pace: Pace
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._left = max_body_bytes
        self._body = PacedBody(receive, pace)
        self._has_body_left = scope["type"] == "http"
        self._region = region(scope)
        self._bodyless = False
        self.started = False
        """Whether anything was answered."""
        self.failure: PlatformError | HandlerRaised | None = None
        """What is to be answered whatever becomes of the function."""

    @property
    def announces_too_much(self) -> bool:
        """Whether the request says itself that its body is above the limit."""
        length = _header(self._scope, b"content-length")
        return length is not None and length.isdigit() and int(length[:20]) > self._left

    async def receive(self) -> Message:
        """The server's next message. After a body that is not taken, the caller seems to have gone."""
        if self.failure is not None:
            return {"type": "http.disconnect"}
        try:
            message = await self._next()
        except TimeoutError:
            self.failure = BODY_TOO_SLOW
            return {"type": "http.disconnect"}
        if message["type"] == "http.request":
            self._has_body_left = message.get("more_body", False)
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self.failure = PlatformError(
                    413, PAYLOAD_TOO_LARGE.code, PAYLOAD_TOO_LARGE.message, reached=True, closing=True
                )
                return {"type": "http.disconnect"}
        return message

    async def _next(self) -> Message:
        """A body has to come at some pace until the answer begins; then both sides may take their time.

        Raises :class:`TimeoutError` when it does not.
        """
        if self._has_body_left and not self.started:
            try:
                return await self._body.next()
            except TimeoutError:
                if not self.started:
                    raise
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Passes on what can be sent. Raises ``HandlerRaised`` for an answer that no client could read, and
        :class:`ResponseCut` when that shows only after its start.
        """
        if message["type"] == "http.response.start":
            message = self._checked(message)
        elif self._bodyless and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        if not self.started:
            self.started = message["type"] in _STARTS
        try:
            await self._send(message)
        except RuntimeError as error:  # the server's word for a body that does not fit its length
            raise ResponseCut(HandlerRaised("The response is not what its headers said.")) from error

    async def refuse(self, problem: PlatformError) -> None:
        """Answers with ``problem``, and ends the exchange."""
        kind = "http" if self._scope["type"] == "http" else "websocket.http"
        if kind != "http" and "websocket.http.response" not in self._scope.get("extensions", {}):
            self.started = True
            await self._send({"type": "websocket.close", "code": 1008, "reason": problem.code})
            return
        body = problem.body()
        headers = problem.headers(body) + self._region
        self.started = True
        await self._send({"type": f"{kind}.response.start", "status": problem.status, "headers": headers})
        await self._send({"type": f"{kind}.response.body", "body": body, "more_body": False})

    def _checked(self, message: Message) -> Message:
        status = message.get("status")
        headers = _checked_headers(message.get("headers", ()))
        if self.failure is None and not (_is_status(status) and headers is not None):
            self.failure = HandlerRaised("The function's response has a status or a header that is none.")
        if self.failure is not None or headers is None:
            raise HandlerRaised("The response is not taken.")
        self._bodyless = status in _WITHOUT_BODY
        if self._bodyless:
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        return {"type": message["type"], "status": status, "headers": headers + self._region}


def region(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The region the caller asked for, as the header that echoes it; nothing when it asked for none."""
    asked = _header(scope, b"x-region")
    if asked is None:
        found = _forced_region(scope.get("query_string", b""))
        asked = found[1] if found else b""
    return [(b"x-sb-edge-region", asked)] if _is_region(asked) else []


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    for name, value in scope["headers"]:
        if name == wanted:
            found: bytes = value
            return found
    return None


def _is_status(status: object) -> bool:
    return isinstance(status, int) and 200 <= status <= 599


def _checked_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]] | None:
    """Those of a response that concern the client, their names in lower case; None when one is no header."""
    kept: list[tuple[bytes, bytes]] = []
    lengths = set()
    for given, value in headers:
        name = given.lower()
        if not (_is_name(name) and _is_value(value)):
            return None
        if name == b"content-length":
            lengths.add(value)
            if not _is_length(value) or len(lengths) > 1:
                return None
        if name not in _HOP_BY_HOP:
            kept.append((name, value))
    return kept
