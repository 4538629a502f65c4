"""One exchange on a channel, seen from either side: what has arrived, and how much may still be sent."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from postmill.wire.frames import CHUNK, LARGEST, WINDOW, BrokenFrame, Kind

if TYPE_CHECKING:
    from postmill.wire.channel import Channel

_COUNTED = frozenset({Kind.BODY, Kind.LAST_BODY, Kind.MESSAGE})


class Stream:
    """Frames in order of arrival, and credit: each side sends only as much body as the other has room for."""

    __slots__ = (
        "_arrived",
        "_channel",
        "_credit",
        "_failure",
        "_taken",
        "_untaken",
        "_waiters",
        "failed",
        "number",
    )

    def __init__(self, channel: Channel, number: int) -> None:
        self.number = number
        self._channel = channel
        self._arrived: deque[tuple[int, bytes]] = deque()
        self._waiters: list[asyncio.Future[None]] = []
        self._credit = WINDOW
        self._untaken = 0
        self._taken = 0
        self._failure: BaseException | None = None
        self.failed = False
        """Whether :meth:`fail` was called."""

    def arrived(self, kind: int, payload: bytes) -> None:
        """A frame came. Raises :class:`BrokenFrame` when the other side ignores its credit."""
        if kind == Kind.GRANT:
            self._credit += int.from_bytes(payload, "little")
            self._wake()
            return
        if kind in _COUNTED:
            self._untaken += len(payload)
            if self._untaken > WINDOW + LARGEST:
                raise BrokenFrame("more body than there is room for")
        self._arrived.append((kind, payload))
        if self._waiters:
            self._wake()

    async def take(self) -> tuple[int, bytes]:
        """The next frame. Raises what :meth:`fail` was given, once nothing is left."""
        while not self._arrived:
            if self._failure is not None:
                raise self._failure
            await self._change()
        kind, payload = self._arrived.popleft()
        if payload and kind in _COUNTED:
            self._grant(len(payload))
        return kind, payload

    async def send_body(self, body: bytes, *, more: bool) -> None:
        """Send a piece of body, waiting for room. Raises what :meth:`fail` was given."""
        at = 0
        while len(body) - at > min(self._credit, CHUNK):
            await self._wait_for_room()
            size = min(self._credit, CHUNK, len(body) - at)
            self._send(Kind.BODY, body[at : at + size])
            at += size
        if self._failure is not None:
            raise self._failure
        if at < len(body) or not more:
            self._send(Kind.BODY if more else Kind.LAST_BODY, body[at:] if at else body)

    async def send_message(self, payload: bytes) -> None:
        """Send a message of a WebSocket, waiting until there is any room at all."""
        await self._wait_for_room()
        self._send(Kind.MESSAGE, payload)

    def say(self, kind: Kind, payload: bytes = b"") -> None:
        """Send a frame that needs no room."""
        self._channel.send(kind, self.number, payload)

    def fail(self, error: BaseException) -> None:
        """Nothing more will arrive or be sent. A task that waits here gets the error."""
        if self._failure is None:
            self._failure = error
            self.failed = True
            self._wake()

    def _send(self, kind: Kind, payload: bytes) -> None:
        self._credit -= len(payload)
        self._channel.send(kind, self.number, payload)

    async def _wait_for_room(self) -> None:
        while self._credit <= 0 and self._failure is None:
            await self._change()
        if self._failure is not None:
            raise self._failure

    async def _change(self) -> None:
        """Wait for a frame, room or a failure."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.pop()
            if not waiter.done():
                waiter.set_result(None)

    def _grant(self, size: int) -> None:
        self._untaken -= size
        self._taken += size
        if self._taken >= WINDOW // 2:
            self._channel.send(Kind.GRANT, self.number, self._taken.to_bytes(8, "little"))
            self._taken = 0
