"""The rules for every request, each a small wrapper round an application: failures are answered, only
responses that a client can read are sent, and a body is bounded in size and pace.

An application here is ASGI's with a :class:`Response` in place of ``send``. A failure is raised, wherever it
is found, and answered in one place. Knows no function, no credentials, no routes.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postmill.gateway import platform_errors
from postmill.gateway.platform_errors import PlatformError, PlatformFailure
from postmill.model.events import LEVELS, Event
from postmill.model.functions.failures import HandlerRaised, ResponseCut
from postmill.model.functions.limits import EXECUTION_HEADER
from postmill.web.asgi import respond
from postmill.web.websocket import ClientGone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postmill.service.events import Events
    from postmill.web.asgi import Headers, Message, Receive, Scope, Send

GOING_AWAY = 1011
"""The code with which a WebSocket is closed when its function is gone: an unexpected condition of the server
(RFC 6455, section 7.4.1).
"""
REFUSED = 1008
"""The code with which a WebSocket is closed when no HTTP answer is possible: a policy violation (RFC 6455,
section 7.4.1).
"""
LONGEST_LENGTH = 18
"""Digits of a ``Content-Length``. 18: every number of that many digits fits into 64 bits."""
_STARTS = frozenset(
    {"http.response.start", "websocket.accept", "websocket.close", "websocket.http.response.start"}
)
_is_name = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_is_value = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch
_is_length = re.compile(rb"[0-9]{1,%d}" % LONGEST_LENGTH).fullmatch
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"})
"""Headers that concern one connection, which is the gateway's and not the function's."""
_UNREADABLE = "The function's response has a status or a header that is none."
_WITHOUT_BODY = frozenset({204, 304})
_is_region = re.compile(rb"[A-Za-z0-9-]{1,40}").fullmatch
_forced_region = re.compile(rb"(?:^|&)forceFunctionRegion=([^&]*)").search


class Response:
    """``send`` of one request. Passes on what a client can read, and knows whether the answer has begun."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.started = False
        """Whether anything was answered."""
        self.status = 0
        """That of the answer; 0 before it has begun, and of a WebSocket."""
        self.headers: Headers = ()
        self.is_readable = False
        """Whether a page of any origin may read it, unless the function says itself which may."""
        self._scope = scope
        self._send = send
        self._is_bodyless = False

    async def __call__(self, message: Message) -> None:
        """Raise ``HandlerRaised`` for an answer that no client could read, and :class:`ResponseCut` when that
        shows only after its start.
        """
        if message["type"] == "http.response.start":
            message = self._checked(message)
        elif self._is_bodyless and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        if not self.started:
            self.started = message["type"] in _STARTS
        try:
            await self._send(message)
        except RuntimeError as error:  # the server's word for a body that does not fit its length
            raise ResponseCut(HandlerRaised("The response is not what its headers said.")) from error

    async def fail(self, problem: PlatformError) -> None:
        """Answer with ``problem``. An answer that has begun is left as it is: returning cuts it."""
        is_http = self._scope["type"] == "http"
        if self.started:
            if not is_http:
                with suppress(ResponseCut):  # it may be closed already
                    await self._close(GOING_AWAY, problem)
        elif is_http or "websocket.http.response" in self._scope.get("extensions", {}):
            self.started, self.status = True, problem.status
            headers = [*problem.headers(), *region(self._scope)]
            await respond(self._scope, self._send, problem.status, headers, problem.body())
        else:
            await self._close(REFUSED, problem)

    async def _close(self, code: int, problem: PlatformError) -> None:
        await self({"type": "websocket.close", "code": code, "reason": problem.code})

    def _checked(self, message: Message) -> Message:
        status = message.get("status")
        if not (isinstance(status, int) and 200 <= status <= 599):
            raise HandlerRaised(_UNREADABLE)
        headers = _checked_headers(message.get("headers", ()))
        self._is_bodyless = status in _WITHOUT_BODY
        if self._is_bodyless:
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        if self.is_readable:
            headers += platform_errors.readable_headers(headers)
        headers += region(self._scope)
        self.status, self.headers = status, headers
        return {"type": message["type"], "status": status, "headers": headers}


Application = Callable[["Scope", "Receive", Response], Awaitable[None]]
"""An application that the wrappers here are put round."""


class CheckResponse:
    """Outermost: what is sent is checked on its way, whatever sends it."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """See :class:`Response`."""
        return self._application(scope, receive, Response(scope, send))


class AnswerFailures:
    """The one place where a failure is answered. Raises nothing."""

    def __init__(self, application: Application, events: Events, *, logged: str = "") -> None:
        """``logged``: requests whose path begins so have a line in the log each."""
        self._application = application
        self._events = events
        self._logged = logged
        self._would_log = events.would_log

    def __call__(self, scope: Scope, receive: Receive, response: Response) -> Awaitable[None]:
        """Return without a whole answer only to say that the connection must be cut."""
        if scope["path"].startswith(self._logged) and self._would_log(LEVELS[Event.REQUEST_SERVED]):
            return self._with_a_line(scope, receive, response)
        return self._answer(scope, receive, response)

    async def _with_a_line(self, scope: Scope, receive: Receive, response: Response) -> None:
        began = time.perf_counter()
        try:
            await self._answer(scope, receive, response)
        finally:
            found = (value.decode() for name, value in response.headers if name == EXECUTION_HEADER)
            self._events.emit(
                Event.REQUEST_SERVED,
                method=scope.get("method", "WEBSOCKET"),
                path=scope["path"],
                status=response.status,
                duration_ms=round((time.perf_counter() - began) * 1000, 1),
                execution=next(found, None),
            )

    async def _answer(self, scope: Scope, receive: Receive, response: Response) -> None:
        try:
            await self._application(scope, receive, response)
        except ClientGone:
            return  # there is no client to answer
        except Exception as error:
            problem = platform_errors.of(error)
            if problem is None:  # a bug of Postmill: the caller gets an answer, the log the traceback
                problem = platform_errors.INTERNAL
                self._events.emit(Event.REQUEST_FAILED, exception=error, path=scope["path"])
        else:
            if response.started:
                return
            problem = platform_errors.INTERNAL
        await response.fail(problem)


@dataclass(frozen=True, slots=True)
class Pace:
    """Bytes of a body that must arrive in ``PACE_S``, unless it ends before. An ordinary client sends far
    more.
    """

    body_bytes: int = 1024
    within_s: float = 10.0
    """Seconds of waiting in which this many bytes must arrive."""


class LimitBody:
    """A request's body has a largest size and a slowest pace."""

    def __init__(self, application: Callable[..., Awaitable[None]], most_bytes: int, pace: Pace) -> None:
        self._application = application
        self._most_bytes = most_bytes
        self._pace = pace

    def __call__(self, scope: Scope, receive: Receive, response: Response, *names: str) -> Awaitable[None]:
        """Raise :class:`PlatformFailure` for a body that says itself that it is too large."""
        if scope["type"] != "http":
            return self._application(scope, receive, response, *names)
        length = header(scope, b"content-length")
        if length is not None and length.isdigit() and int(length[:LONGEST_LENGTH]) > self._most_bytes:
            raise PlatformFailure(platform_errors.PAYLOAD_TOO_LARGE)
        limited = LimitedBody(receive, response, self._most_bytes, self._pace)
        return self._application(scope, limited, response, *names)


class LimitedBody:
    """``receive`` of one request.

    A body has to arrive at some pace until the answer begins; then neither side has such a bound. Only the
    time that it is waited for counts: a function that does not read is not its caller's fault.
    """

    def __init__(self, receive: Receive, response: Response, most_bytes: int, pace: Pace) -> None:
        self._receive = receive
        self._response = response
        self._left = most_bytes
        self._pace = pace
        self._left_s = pace.within_s
        self._arrived = 0
        self._is_whole = False

    async def __call__(self) -> Message:
        """The server's next message. Raise :class:`PlatformFailure` for a body that is not taken."""
        message = await (self._receive() if self._is_whole or self._response.started else self._in_time())
        if message["type"] == "http.request":
            self._is_whole = not message.get("more_body", False)
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise PlatformFailure(platform_errors.BODY_TOO_LARGE)
        return message

    async def _in_time(self) -> Message:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._left_s):
                message = await self._receive()
        except TimeoutError:
            if self._response.started:
                return await self._receive()
            raise PlatformFailure(platform_errors.BODY_TOO_SLOW) from None
        self._left_s -= time.monotonic() - began
        self._arrived += len(message.get("body", b""))
        if self._arrived >= self._pace.body_bytes:
            self._left_s, self._arrived = self._pace.within_s, 0
        return message


def header(scope: Scope, wanted: bytes) -> bytes | None:
    """The first value of a request's header; None when it has none of that name."""
    for name, value in scope["headers"]:
        if name == wanted:
            found: bytes = value
            return found
    return None


def region(scope: Scope) -> Headers:
    """The header that echoes the region the caller asked for; empty when it asked for none."""
    asked = header(scope, b"x-region")
    if asked is None:
        found = _forced_region(scope.get("query_string", b""))
        asked = found[1] if found else b""
    return [(b"x-sb-edge-region", asked)] if _is_region(asked) else []


def _checked_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Those of a response that concern the client, their names in lower case. Raise ``HandlerRaised`` when
    one is no header.
    """
    kept: list[tuple[bytes, bytes]] = []
    length: bytes | None = None
    for given, value in headers:
        name = given.lower()
        if not (_is_name(name) and _is_value(value)):
            raise HandlerRaised(_UNREADABLE)
        if name == b"content-length":
            if not _is_length(value) or length not in {None, value}:
                raise HandlerRaised(_UNREADABLE)
            length = value
        if name not in _HOP_BY_HOP:
            kept.append((name, value))
    return kept
