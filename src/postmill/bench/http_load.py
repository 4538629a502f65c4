"""HTTP requests for a benchmark: one kept-alive connection a client, and as little work as possible.

Understands only what the benchmark's own application answers: a status line and a body with its length.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_LENGTH = b"content-length:"
_END = b"\r\n\r\n"


class Client(asyncio.Protocol):
    """One connection that repeats one request."""

    def __init__(self, request: bytes) -> None:
        self.answered = 0
        """How many answers were 200."""
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._repeating = False
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._done.set_result(None)  # nothing was asked yet
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        self._heard += data
        head, end, body = self._heard.partition(_END)
        if end and not self._done.done():
            at = head.lower().find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
            if len(body) >= length:
                self._heard = b""
                self._finish(head)

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        if not self._done.done():
            self._done.set_exception(exc or ConnectionResetError("the server has closed the connection"))

    @property
    def is_closed(self) -> bool:
        """Whether the server, or :meth:`close`, has ended the connection."""
        return self._transport is None or self._transport.is_closing()

    async def call(self) -> None:
        """One request and its whole answer. Raises ``RuntimeError`` for an answer that is not 200."""
        self._repeating = False
        await self._ask()

    async def repeat(self) -> None:
        """One request after the other, until :meth:`enough`. Raises as :meth:`call`."""
        self._repeating = True
        await self._ask()

    def enough(self) -> None:
        """The request under way is the last one."""
        self._repeating = False

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    async def _ask(self) -> None:
        assert self._transport is not None  # noqa: S101
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(self._request)
        await self._done

    def _finish(self, head: bytes) -> None:
        if b" 200 " not in head.split(b"\r\n", 1)[0] + b" ":
            self._done.set_exception(RuntimeError(head.decode("latin-1")))
            return
        self.answered += 1
        if self._repeating and self._transport is not None:
            self._transport.write(self._request)
        else:
            self._done.set_result(None)


async def open_client(url: str, headers: Mapping[str, str]) -> Client:
    """A connection to the server of ``url``, ready to ask for it."""
    parts = urlsplit(url)
    asked = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    lines = [f"GET {asked} HTTP/1.1", f"host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(request), parts.hostname or "", parts.port or 80)
    return client


async def latencies(url: str, headers: Mapping[str, str], count: int) -> list[float]:
    """How long each of ``count`` requests took, one after the other on one connection, in seconds."""
    client = await open_client(url, headers)
    try:
        found = []
        for _ in range(count):
            began = time.perf_counter()
            await client.call()
            found.append(time.perf_counter() - began)
        return found
    finally:
        client.close()


async def rate(url: str, headers: Mapping[str, str], clients: int, seconds: float) -> float:
    """Requests a second that ``clients`` get answered together, each sending its next one at once."""
    opened = [await open_client(url, headers) for _ in range(clients)]
    loop = asyncio.get_running_loop()
    try:
        began = time.perf_counter()
        for client in opened:
            loop.call_later(seconds, client.enough)
        await asyncio.gather(*(client.repeat() for client in opened))
        return sum(client.answered for client in opened) / (time.perf_counter() - began)
    finally:
        for client in opened:
            client.close()
