"""One request and its answer as ASGI has them: ``receive`` and ``send`` over a connection.

Knows how an answer is written, for clients of HTTP/1.0 never in chunks. The connection knows where a request
ends.
"""

from __future__ import annotations

import asyncio
import re
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from postmill.model.events import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from postmill.service.events import Events
    from postmill.web.asgi import Application, Message, Scope
    from postmill.web.transport import CorkedTransport

CHUNKED = -1
"""The ``length`` of a body in chunks. Below 0, so that it is no length."""
UNTIL_CLOSE = -2
"""The ``length`` of a body that ends with the connection. Below 0, so that it is no length."""
_WITHOUT_BODY = frozenset({204, 304})
_ONCE = frozenset({b"date", b"content-length"})
_OURS = frozenset({b"transfer-encoding", b"keep-alive"})
"""Headers that concern the connection, which is the server's and not the application's."""
_is_name = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestCycle:
    """From the head of a request to the last byte of its answer."""

    def __init__(
        self,
        scope: Scope,
        transport: CorkedTransport,
        events: Events,
        *,
        keeps_alive: bool,
        expects_continue: bool,
        is_whole: bool,
        on_read: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        """``is_whole``: no body follows. ``on_read`` is called when the application has taken what arrived;
        ``on_end`` once, when the answer is complete or will never be.
        """
        self.keeps_alive = keeps_alive
        """Whether another request may follow."""
        self.is_started = False
        """Whether the answer has begun."""
        self.is_complete = False
        """Whether the answer is whole."""
        self.arrived = bytearray()
        """What the application has not taken yet."""
        self._scope = scope
        self._transport = transport
        self._events = events
        self._expects_continue = expects_continue
        self._on_read = on_read
        self._on_end = on_end
        self._is_gone = False
        self._is_whole = is_whole
        self._is_told_whole = False
        self._news: asyncio.Future[None] | None = None
        self._length = 0
        self._writes_body = True

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the end of the connection shows the end of the answer."""
        return self._length == UNTIL_CLOSE

    def feed(self, body: bytes, *, more: bool) -> None:
        """More of the body has arrived."""
        self.arrived += body
        self._is_whole = not more
        self._tell()

    def disconnect(self) -> None:
        """The client has gone, or is no longer read from."""
        self._is_gone = True
        self._tell()

    async def run(self, application: Application) -> None:
        """Run the application. An error that it raises ends the answer where it is."""
        try:
            await application(self._scope, self.receive, self.send)
        except Exception as error:
            self._events.emit(Event.REQUEST_FAILED, exception=error, path=self._scope["path"])
        finally:
            if not self.is_complete:
                self._on_end()

    async def receive(self) -> Message:
        """The next piece of the body; after it, and after the answer, waits for the client to go."""
        if self._expects_continue and not (self.is_started or self._is_gone):
            self._expects_continue = False
            if not (self._is_whole or self.arrived):
                self._transport.write(_CONTINUE)
        while not (self._is_gone or self.is_complete or self._has_news):
            if self._news is None:
                self._news = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._news)
        if self._is_gone or self.is_complete:
            return {"type": "http.disconnect"}
        body, self.arrived = bytes(self.arrived), bytearray()
        self._is_told_whole = self._is_whole
        self._on_read()
        return {"type": "http.request", "body": body, "more_body": not self._is_told_whole}

    def _tell(self) -> None:
        """Have a waiting ``receive`` look again."""
        if self._news is not None:
            self._news.set_result(None)
            self._news = None

    @property
    def _has_news(self) -> bool:
        return bool(self.arrived) or (self._is_whole and not self._is_told_whole)

    async def send(self, message: Message) -> None:
        """Write a part of the answer. It is dropped when the client has gone.

        Raise ``RuntimeError`` for what can't be sent.
        """
        if self._transport.is_paused and not self._is_gone:
            await self._transport.until_writable()
        if self._is_gone:
            return
        kind = message["type"]
        if not self.is_started and kind == "http.response.start":
            self._start(message)
        elif self.is_started and not self.is_complete and kind == "http.response.body":
            self._write_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} can't be sent now.")

    def _start(self, message: Message) -> None:
        # The client may send its body now or leave it out: only the end of the connection says which.
        undecided = self._expects_continue and not (self._is_whole or self.arrived)
        head = response_head(
            message["status"],
            message.get("headers", ()),
            method=self._scope["method"],
            http_version=self._scope["http_version"],
            keeps_alive=self.keeps_alive and not undecided,
        )
        self.is_started = True
        self.keeps_alive = head.keeps_alive
        self._length = head.length
        self._writes_body = self._scope["method"] != "HEAD"
        self._transport.write(head.raw)

    def _write_body(self, body: bytes, *, more: bool) -> None:
        if not self._writes_body:
            pass
        elif self._length == CHUNKED:
            self._write_chunk(body, more=more)
        elif self._length == UNTIL_CLOSE:
            self._transport.write(body)
        else:
            self._write_counted(body, more=more)
        if not more:
            self.is_complete = True
            if self._news is not None:
                self._tell()
            self._on_end()

    def _write_chunk(self, body: bytes, *, more: bool) -> None:
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        self._transport.write(chunk if more else chunk + b"0\r\n\r\n")

    def _write_counted(self, body: bytes, *, more: bool) -> None:
        if len(body) > self._length:
            raise RuntimeError("The response is longer than its Content-Length.")
        self._length -= len(body)
        self._transport.write(body)
        if self._length and not more:
            raise RuntimeError("The response is shorter than its Content-Length.")


def start(work: Coroutine[None, None, None], tasks: set[asyncio.Task[None]]) -> None:
    """Run the application for one request, as one of ``tasks`` until it has ended. The loop's task factory is
    not asked: in a worker's process a handler may have installed one that raises.
    """
    task = asyncio.Task(work, loop=asyncio.get_running_loop())
    tasks.add(task)
    task.add_done_callback(tasks.discard)


class ResponseHead(NamedTuple):
    """What is written, and what follows from it."""

    raw: bytes
    length: int
    """Bytes of the body that follows, :data:`CHUNKED` or :data:`UNTIL_CLOSE`."""
    keeps_alive: bool
    """Whether another request may follow on the connection."""


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_STATUS_LINES = {status: _status_line(status) for status in range(200, 600)}


class _Clock:
    """The ``Date`` of this second, made once a second."""

    second = 0
    line = b""

    def now(self) -> bytes:
        """The whole header line."""
        second = int(time.time())
        if second != self.second:
            self.second = second
            self.line = b"date: " + formatdate(second, usegmt=True).encode() + b"\r\n"
        return self.line


_CLOCK = _Clock()


def response_head(
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    method: str,
    http_version: str,
    keeps_alive: bool,
) -> ResponseHead:
    """The head for ``status`` and ``headers``. Raise ``RuntimeError`` for what no client could read.

    ``Date`` and ``Content-Length`` come once, also when the application sets them.
    """
    if status not in _STATUS_LINES:
        raise RuntimeError(f"{status} is no status of a response.")
    lines, given, closes = _lines(headers)
    keeps_alive = keeps_alive and not closes
    length = _framed(status, given, method=method, http_version=http_version)
    if length == UNTIL_CLOSE:
        keeps_alive = False
    if length == CHUNKED:
        lines.append(b"transfer-encoding: chunked\r\n")
    if not keeps_alive:
        lines.append(b"connection: close\r\n")
    date = b"" if b"date" in given else _CLOCK.now()
    return ResponseHead(b"".join((_STATUS_LINES[status], date, *lines, b"\r\n")), length, keeps_alive)


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> tuple[list[bytes], dict[bytes, bytes], bool]:
    """The header lines; those that come once by name; whether the application ends the connection."""
    lines: list[bytes] = []
    once: dict[bytes, bytes] = {}
    closes = False
    for given, value in headers:
        name = _name(given)
        if name in _ONCE:
            if once.setdefault(name, value) != value and name == b"content-length":
                raise RuntimeError("The response has two lengths.")
            continue
        if name == b"connection":
            closes = closes or b"close" in value.lower()
        elif name not in _OURS:
            lines.append(name + b": " + value + b"\r\n")
    for name, value in once.items():
        lines.append(name + b": " + value + b"\r\n")
    raw = b"".join(lines)
    if not raw.count(b"\r") == raw.count(b"\n") == len(lines) or b"\0" in raw:
        raise RuntimeError("A header of the response has two lines.")
    return lines, once, closes


@lru_cache(maxsize=256)
def _name(given: bytes) -> bytes:
    """In lower case. Applications use few names."""
    if not _is_name(given):
        raise RuntimeError("A header of the response has a name that is none.")
    return given.lower()


def _framed(status: int, given: dict[bytes, bytes], *, method: str, http_version: str) -> int:
    """Where the body ends (RFC 9112, 6.3)."""
    if method == "HEAD" or status in _WITHOUT_BODY:
        return 0
    if b"content-length" in given:
        return int(given[b"content-length"])
    return CHUNKED if http_version == "1.1" else UNTIL_CLOSE
