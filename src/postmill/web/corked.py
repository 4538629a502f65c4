"""A transport that writes what is said within one turn of the event loop together: the head and the body of a
response cost one system call, and the client wakes up once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

AT_MOST = 64 * 1024
"""Bytes that do not wait for the end of the turn: from there on the transport below says when to pause."""


class CorkedTransport:
    """All but writing and ending is left to the transport below."""

    def __init__(self, below: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._below = below
        self._loop = loop
        self._waiting: list[bytes] = []
        self._size = 0
        self.is_closing = below.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)

    def write(self, data: bytes) -> None:
        """Written at the end of the turn, or as soon as there are 64 KiB."""
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= AT_MOST:
            self.flush()

    def flush(self) -> None:
        """Write now."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        if waiting and not self.is_closing():
            self._below.write(b"".join(waiting))

    def write_eof(self) -> None:
        """Say that nothing more will come; what was said so far is still written."""
        self.flush()
        if not self.is_closing():
            self._below.write_eof()

    def close(self) -> None:
        """End it; what was said so far is still written."""
        self.flush()
        self._below.close()
