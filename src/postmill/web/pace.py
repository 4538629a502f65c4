"""How slowly the body of a request may come. Counts only the time that somebody waits for it: a function that
does not read is not its caller's fault.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postmill.web.asgi import Message, Receive


@dataclass(frozen=True, slots=True)
class Pace:
    """What must arrive, unless the body ends before; an honest client is far above it."""

    body_bytes: int = 1024
    within_s: float = 10.0
    """Seconds of waiting in which so many bytes arrive."""


class PacedBody:
    """One body that is waited for."""

    def __init__(self, receive: Receive, pace: Pace) -> None:
        self._receive = receive
        self._pace = pace
        self._left_s = pace.within_s
        self._arrived = 0

    async def next(self) -> Message:
        """The next message. Raises :class:`TimeoutError` when too little came for too long."""
        began = time.monotonic()
        async with asyncio.timeout(self._left_s):
            message = await self._receive()
        self._left_s -= time.monotonic() - began
        self._arrived += len(message.get("body", b""))
        if self._arrived >= self._pace.body_bytes:
            self._left_s, self._arrived = self._pace.within_s, 0
        return message
