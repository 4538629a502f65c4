"""Frames over a socket, on an event loop: cut out of what arrives, and written together.

Both sides use it; it knows no exchange and no life cycle.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from postmill.wire.frames import HEAD, LARGEST, BrokenFrame

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

TOGETHER = 12
"""When this many frames wait, they are written before the event loop's turn ends, so that the other side can
begin. Twelve: the frames of the 16 clients in ``benchmarks.isolate_transport`` go in two writes, and the
other side works on the first meanwhile.
"""


class Framer:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """The frames that are whole by now: kind, stream, payload. Raises :class:`BrokenFrame`."""
        if self._rest:
            data = self._rest + data
        at, size = 0, len(data)
        while size - at >= HEAD.size:
            length, kind, stream = HEAD.unpack_from(data, at)
            if length > LARGEST:
                raise BrokenFrame(f"a frame of {length} bytes")
            end = at + HEAD.size + length
            if end > size:
                break
            payload = data[at + HEAD.size : end]
            at = end
            yield kind, stream, payload
        self._rest = data[at:] if at else data


class Channel(asyncio.Protocol):
    """One end. What is sent within one turn of the event loop is written together."""

    def __init__(
        self, on_frame: Callable[[int, int, bytes], None], on_lost: Callable[[BaseException | None], None]
    ) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    async def attach(self, sock: socket.socket) -> None:
        """Begin to speak on ``sock``, which belongs to the channel from now on."""
        try:
            sock.settimeout(0)
            await self._loop.create_connection(lambda: self, sock=sock)
        except BaseException:
            sock.close()
            raise

    def send(self, kind: int, stream: int = 0, payload: bytes = b"") -> None:
        """Send a frame. Never waits: bodies are held back by credit, everything else is small."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(HEAD.pack(len(payload), kind, stream) + payload)
        if len(self._waiting) >= TOGETHER:
            self._flush()

    def close(self) -> None:
        """End it. Frames that were sent before are still written."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        try:
            for kind, stream, payload in self._framer.feed(data):
                self._on_frame(kind, stream, payload)
        except Exception as error:  # also a frame that holds what no frame of that kind can hold
            self._on_lost(error)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = None
        self._on_lost(exc)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting and self._transport is not None:
            self._transport.write(b"".join(waiting) if len(waiting) > 1 else waiting[0])
