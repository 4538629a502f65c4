"""A small HTTP server for orchestrators and Prometheus: ``/live``, ``/ready`` and ``/metrics``.

It runs on the workers' own event loop, so that an answer is a proof that the loop turns. It serves GET and
HEAD, one request a connection, and nothing else: it is no web framework. Reads no secrets, changes nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from postmill.model.errors import InvalidOption
from postmill.service.tasks import new_task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_CONNECTIONS = 32
MAX_REQUEST_BYTES = 8 * 1024
TIMEOUT_S = 5.0
"""A client that is slower is hung up on."""

TEXT = "text/plain; charset=utf-8"
_PHRASES = {
    200: "OK",
    500: "Internal Server Error",
    404: "Not Found",
    405: "Method Not Allowed",
    501: "Not Implemented",
    503: "Service Unavailable",
}


class Answer(NamedTuple):
    """A response without its headers."""

    status: int
    body: bytes
    content_type: str = TEXT


class Probe:
    """The server. ``routes`` maps a path to what answers it."""

    def __init__(self, host: str, port: int, routes: Mapping[str, Callable[[], Answer]]) -> None:
        self._host = host
        self._port = port
        self._routes = routes
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Listen; returns the address. Raises :class:`InvalidOption` when the port can't be had."""
        try:
            self._server = await asyncio.start_server(
                self._accept, self._host, self._port, limit=MAX_REQUEST_BYTES
            )
        except OSError as error:
            raise InvalidOption(
                f"The probe can't listen on {self._host}:{self._port}.",
                why=f"{error.strerror or error}.",
                hint="Choose another --probe-port, or 0 for a free one.",
            ) from error
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close the port and hang up. May be called twice."""
        if self._server is not None:
            self._server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task = new_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._respond(request))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _respond(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        path = rest.split(b" ", 1)[0].split(b"?", 1)[0].decode("latin-1")
        route = self._routes.get(path)
        if method not in {b"GET", b"HEAD"}:
            answer = Answer(405, b"only GET and HEAD\n")
        elif route is None:
            answer = Answer(404, f"there is {', '.join(self._routes)}\n".encode())
        else:
            answer = _answered(route)
        head = (
            f"HTTP/1.1 {answer.status} {_PHRASES[answer.status]}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(answer.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        ).encode()
        return head if method == b"HEAD" else head + answer.body


def _answered(route: Callable[[], Answer]) -> Answer:
    """What the route says, or that it raised: a probe without an answer would look like a dead process."""
    try:
        return route()
    except Exception as error:
        return Answer(500, f"{type(error).__name__}: {error}\n".encode())
