"""An application that writes down what it was called with, and a client that writes bytes."""

from __future__ import annotations

import asyncio
import re
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from postmill.web.asgi import Application, Receive, Scope, Send

PATIENCE_S = 60
"""A connection that the server keeps open longer is a fault of the test."""
_status = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Recorded(NamedTuple):
    """One request, as the application saw it."""

    scope: Scope
    body: bytes
    is_whole: bool


class Recorder:
    """The application. It reads the body to its end, and answers with ``ok``."""

    def __init__(self) -> None:
        self.seen: list[Recorded] = []
        self.answers_first = False
        """Whether it answers without reading, unless there is no body."""
        self.hold = asyncio.Event()
        """Clear it to have it wait before it answers."""
        self.hold.set()
        self.arrived = asyncio.Event()
        self.sockets: Application | None = None
        """What answers WebSockets, and what answers requests in its place."""
        self.other: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.sockets is not None and scope["type"] == "websocket":
            await self.sockets(scope, receive, send)
        elif self.other is not None:
            await self.other(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", not self.answers_first
        while more:
            message = await receive()
            if message["type"] != "http.request":
                self.seen.append(Recorded(scope, body, is_whole=False))
                return
            body += message["body"]
            more = message["more_body"]
        self.seen.append(Recorded(scope, body, is_whole=True))
        self.arrived.set()
        await self.hold.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


class Heard(NamedTuple):
    """What the server said."""

    raw: bytes
    is_closed: bool
    """Whether it hung up."""

    @property
    def statuses(self) -> list[int]:
        """That of each answer, but for the word that the body may come."""
        return [int(each) for each in _status.findall(self.raw) if each != b"100"]


async def talk(port: int, pieces: list[bytes], *, answers: int) -> Heard:
    """Write ``pieces``; listen until the server hangs up, or has given so many answers and stays.

    Whether it stays is asked with one more request: a server that goes on answers it.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        async with asyncio.timeout(PATIENCE_S):
            with suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
            return await _listen(reader, writer, answers)


PROBE = b"GET /is-it-open HTTP/1.1\r\nHost: probe\r\n\r\n"


async def _listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: int) -> Heard:
    raw, asked = b"", False
    while True:
        found = len(_status.findall(raw))
        if not asked and found >= answers and raw.endswith(b"ok"):
            writer.write(PROBE)
            asked = True
        elif asked and found > answers and raw.endswith(b"ok"):
            return Heard(raw[: raw.rindex(b"HTTP/1.1")], is_closed=False)
        try:
            piece = await reader.read(65536)
        except ConnectionError:
            piece = b""
        if not piece:
            return Heard(raw, is_closed=True)
        raw += piece


def sent(recorder: Recorder) -> list[tuple[str, bytes]]:
    """Path and body of each whole request that is not the probe of :func:`talk`."""
    return [(each.scope["path"], each.body) for each in whole(recorder)]


def whole(recorder: Recorder) -> list[Recorded]:
    """Each whole request that is not the probe of :func:`talk`."""
    return [each for each in recorder.seen if each.is_whole and each.scope["path"] != "/is-it-open"]


def header(recorded: Recorded, name: bytes) -> list[Any]:
    """The values of a header."""
    return [value for found, value in recorded.scope["headers"] if found == name]
