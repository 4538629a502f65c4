"""The transport under a connection: writes of one turn of the event loop go out together, writing waits for a
slow client, and one deadline can be moved often.

What is written within one turn of the event loop is one system call: the head and the body of a response
arrive together, and the client wakes up once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

AT_MOST = 64 * 1024
"""When this many bytes wait, they are written before the event loop's turn ends. 64 KiB: asyncio's own mark,
from which on the transport says when to pause.
"""


class CorkedTransport:
    """Everything except writing and ending is left to the transport below."""

    def __init__(self, below: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._below = below
        self._loop = loop
        self._waiting: list[bytes] = []
        self._size = 0
        self.is_paused = False
        """Whether more should be written only later."""
        self._writable: asyncio.Event | None = None
        """Set once the client takes more; None while it does."""
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
        """Send the end of the stream, after the bytes that were written before."""
        self.flush()
        if not self.is_closing():
            self._below.write_eof()

    def close(self) -> None:
        """End it. Bytes that were written before still go out."""
        self.flush()
        self._below.close()

    def pause(self) -> None:
        """The client does not keep up. The protocol calls it when the transport below does."""
        if self._writable is None:
            self.is_paused = True
            self._writable = asyncio.Event()

    def resume(self) -> None:
        """The client takes more, or has gone."""
        if self._writable is not None:
            self._writable.set()
            self._writable = None
            self.is_paused = False

    async def until_writable(self) -> None:
        """Return once more may be written."""
        if self._writable is not None:
            await self._writable.wait()


class Deadline:
    """At most one action is awaited at a time. Moving it touches no timer of the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._action: Callable[[], None] | None = None

    @property
    def is_set(self) -> bool:
        """Whether an action is awaited."""
        return self._action is not None

    def set(self, after_s: float, action: Callable[[], None]) -> None:
        """Call ``action`` in ``after_s`` seconds, in place of what was awaited before."""
        self._due = self._loop.time() + after_s
        self._action = action
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._look)

    def clear(self) -> None:
        """Await nothing. The timer stays, for the next action."""
        self._action = None

    def close(self) -> None:
        """Await nothing, and end the timer."""
        self.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        action = self._action
        if action is None:
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._look)
            return
        self._action = None
        action()
