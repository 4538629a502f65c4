"""What the client of a WebSocket has sent and the application has not taken yet: bounded, and with an end."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from websockets.frames import Opcode

if TYPE_CHECKING:
    from websockets.frames import Frame

    from postmill.web.asgi import Message

MOST_WAITING = 64
"""Messages that wait for the application before reading pauses. 64: a burst of small ones costs no pause."""


class Inbox:
    """Joins frames to ASGI messages. The last message is the end, which is returned again and again."""

    def __init__(self, most_bytes: int) -> None:
        """``most_bytes`` wait before reading pauses; one message may be as long."""
        self._most_bytes = most_bytes
        self._waiting: deque[Message] = deque([{"type": "websocket.connect"}])
        self._bytes = 0
        self._changed = asyncio.Event()
        self._fragments = bytearray()
        self._is_text = False
        self._is_ended = False
        self.is_partial = False
        """Whether a message has begun and not ended."""

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be read now."""
        return len(self._waiting) >= MOST_WAITING or self._bytes >= self._most_bytes

    async def take(self) -> Message:
        """The next message."""
        while not self._waiting:
            self._changed.clear()
            await self._changed.wait()
        message = self._waiting[0]
        if message["type"] != "websocket.disconnect":
            self._waiting.popleft()
            self._bytes -= _size(message)
        return message

    def put(self, frame: Frame) -> None:
        """Take a frame that carries data. Raise ``UnicodeDecodeError`` for a text that is none."""
        if self._is_ended:
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._fragments += frame.data
        self.is_partial = not frame.fin
        if frame.fin:
            data, self._fragments = bytes(self._fragments), bytearray()
            key, value = ("text", data.decode()) if self._is_text else ("bytes", data)
            message: Message = {"type": "websocket.receive", key: value}
            self._bytes += _size(message)
            self._add(message)

    def end(self, code: int, reason: str = "") -> None:
        """Nothing more will come, and why. Only the first end counts."""
        if not self._is_ended:
            self._is_ended = True
            self._fragments.clear()
            self._add({"type": "websocket.disconnect", "code": code, "reason": reason})

    def _add(self, message: Message) -> None:
        self._waiting.append(message)
        self._changed.set()


def _size(message: Message) -> int:
    return len(message.get("bytes") or message.get("text") or "")
