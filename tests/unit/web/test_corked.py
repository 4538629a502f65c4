"""What is said within one turn of the event loop is written together, and nothing of it is lost."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from postmill.web.transport import AT_MOST, CorkedTransport


class Below:
    """A transport that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[bytes | str] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        self.told.append("close")

    def pause_reading(self) -> None:
        self.told.append("pause")


async def test_one_write_a_turn() -> None:
    below = Below()
    corked = CorkedTransport(cast("asyncio.Transport", below), asyncio.get_running_loop())
    corked.write(b"head")
    corked.write(b"body")
    corked.pause_reading()
    assert below.told == ["pause"]
    await asyncio.sleep(0)
    corked.write(b"next")
    await asyncio.sleep(0)
    assert below.told == ["pause", b"headbody", b"next"]


async def test_much_is_written_at_once_and_a_close_writes_the_rest() -> None:
    below = Below()
    corked = CorkedTransport(cast("asyncio.Transport", below), asyncio.get_running_loop())
    corked.write(b"x" * AT_MOST)
    assert below.told == [b"x" * AT_MOST]
    corked.write(b"the rest")
    corked.close()
    corked.write(b"too late")
    await asyncio.sleep(0)
    assert below.told == [b"x" * AT_MOST, b"the rest", "close"]


async def test_on_a_real_connection() -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(30)
    loop = asyncio.get_running_loop()
    below, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    corked = CorkedTransport(below, loop)
    corked.write(b"a")
    corked.write(b"b")
    corked.close()
    with theirs:
        assert await asyncio.to_thread(theirs.recv, 10) == b"ab"
        assert await asyncio.to_thread(theirs.recv, 10) == b""
