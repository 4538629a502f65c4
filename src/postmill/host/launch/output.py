"""Reads what an isolate prints, line by line; a flood is counted instead of kept. A line is never more than
what a function has printed, whatever it looks like.

The pipe is always read, so that no function blocks on printing; memory stays bounded by ``LONGEST``.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from postmill.model.events import Event

if TYPE_CHECKING:
    from postmill.service.events import Events

LONGEST = 64 * 1024
"""Bytes of one line. A longer one is cut, so that memory stays bounded. 64 KiB: as much as the pipe holds."""
PER_SECOND = 256 * 1024
"""Bytes of one isolate's output that are kept in a second. 256 KiB are thousands of lines. A flood beyond
that is counted and dropped, so that the host keeps up.
"""


class Output(asyncio.Protocol):
    """One pipe of one isolate."""

    def __init__(self, events: Events, function: str, execution_id: str, stream: str) -> None:
        self._events = events
        self._whose = {"function": function, "execution": execution_id}
        self._stream = stream
        self._rest = b""
        self._left = PER_SECOND
        self._since = time.monotonic()
        self._dropped_lines = 0
        self._dropped_bytes = 0
        self._transport: asyncio.BaseTransport | None = None
        self.ended = asyncio.Event()
        """Set at the end of the pipe."""

    async def attach(self, descriptor: int) -> None:
        """Begin to read from ``descriptor``, which belongs to this object from now on."""
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: self, os.fdopen(descriptor, "rb", buffering=0))

    def close(self) -> None:
        """Read no more."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._rest:
            self._line(self._rest)
        self._say_dropped()
        self.ended.set()

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        now = time.monotonic()
        if now - self._since >= 1:
            self._say_dropped()
            self._since, self._left = now, PER_SECOND
        if len(data) > self._left:
            self._drop(data)
            return
        self._left -= len(data)
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(rest) > LONGEST:
            self._line(rest)
            rest = b""
        self._rest = rest

    def _drop(self, data: bytes) -> None:
        """Drop the output and count it; a line that was begun stays cut. The count is logged after a second,
        also when nothing more is printed.
        """
        if not self._dropped_bytes:
            asyncio.get_running_loop().call_later(1.0, self._say_dropped)
        self._left = 0
        self._dropped_bytes += len(data)
        self._dropped_lines += data.count(b"\n")
        if self._rest:
            self._line(self._rest)
            self._rest = b""

    def _say_dropped(self) -> None:
        if self._dropped_bytes:
            dropped = {"lines": self._dropped_lines, "bytes": self._dropped_bytes}
            self._events.publish(
                Event.FUNCTION_LOG_DROPPED, {**self._whose, "stream": self._stream, **dropped}
            )
            self._dropped_bytes = self._dropped_lines = 0

    def _line(self, line: bytes) -> None:
        text = line[:LONGEST].decode("utf-8", "replace").rstrip("\r")
        if text:
            self._events.publish(Event.FUNCTION_LOG, {**self._whose, "stream": self._stream, "line": text})
