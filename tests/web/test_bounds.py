"""Nothing that a stranger sends is unmeasured: before a request, in it, behind it, and on a WebSocket."""

from __future__ import annotations

import asyncio
import os
import struct
import tracemalloc
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from postmill.web import websocket
from postmill.web.limits import ConnectionLimits
from tests.web.recording import Recorder, sent, talk, whole

if TYPE_CHECKING:
    from postmill.web.asgi import Receive, Scope, Send

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
CALM = ConnectionLimits(head_bytes=8192, head_s=100, unread_s=100, idle_s=100)
MIB = 1024 * 1024


async def flood(port: int, opening: bytes, block: bytes, *, most: int = 64 * MIB) -> int:
    """Write ``opening`` and then ``block`` again and again until the server hangs up, or ``most`` is written.

    Return how many bytes were taken.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken = 0
    with closing(writer), suppress(ConnectionError):
        writer.write(opening)
        hearing = asyncio.create_task(_heard_all(reader))
        async with asyncio.timeout(60):
            while taken < most and not hearing.done():
                writer.write(block)
                await writer.drain()
                await asyncio.sleep(0)
                taken += len(block)
            await hearing
    return taken


async def _heard_all(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while await reader.read(65536):
            pass


@pytest.mark.parametrize(
    ("stream", "status"),
    [
        (GET + b"X: 1\r\n" * 200 + b"\r\n", 431),
        (GET + b"X: " + b"a" * 8192 + b"\r\n\r\n", 431),
        (GET + b"X: " + b"a" * 8192, 431),
        (b"GET /" + b"a" * 8192, 431),
        (CHUNKED + b"1;" + b"a" * 16 * 1024 + b"\r\na\r\n0\r\n\r\n", 400),
        (CHUNKED + (b"1;" + b"a" * 100 + b"\r\na\r\n") * 200 + b"0\r\n\r\n", 400),
        (CHUNKED + b"0\r\n" + b"X: a\r\n" * 2000 + b"\r\n", 400),
        (CHUNKED + b"0\r\nX: " + b"a" * 8192 + b"\r\n\r\n", 400),
        (CHUNKED + b"0\r\nX: " + b"a" * 8192, 400),
        (CHUNKED + b"0" * 8192, 400),
    ],
    ids=[
        "headers",
        "a header",
        "a header without end",
        "a target",
        "an extension",
        "extensions",
        "trailers",
        "a trailer",
        "a trailer without end",
        "a size",
    ],
)
async def test_what_is_too_long_is_refused(port: int, recorder: Recorder, stream: bytes, status: int) -> None:
    heard = await talk(port, [stream], answers=1)
    assert (heard.statuses, heard.is_closed) == ([status], True)
    assert whole(recorder) == []


async def test_what_is_not_too_long_is_taken(port: int, recorder: Recorder) -> None:
    extended = (b"1;" + b"a" * 90 + b"\r\na\r\n") * 150
    trailers = b"X: a\r\n" * 1000
    await talk(port, [GET + b"X: 1\r\n" * 199 + b"\r\n"], answers=1)
    await talk(port, [CHUNKED + extended + b"0\r\n" + trailers + b"\r\n"], answers=1)
    assert sent(recorder) == [("/a", b""), ("/a", b"a" * 150)]


@pytest.mark.parametrize("answers_first", [True, False], ids=["answered", "not answered"])
@pytest.mark.parametrize(
    ("opening", "block"),
    [
        (CHUNKED + b"0\r\n", b"X: a\r\n" * 10_000),
        (CHUNKED + b"0\r\n", b"X" * 100_000),
        (CHUNKED + b"1;", b"x" * 100_000),
        (CHUNKED, b"1;aaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n" * 5000),
        (CHUNKED, b"\r\n" * 50_000),
    ],
    ids=["trailers", "a trailer", "an extension", "extensions", "blank lines"],
)
async def test_a_flood_behind_the_head_is_cut_off(
    port: int, recorder: Recorder, opening: bytes, block: bytes, *, answers_first: bool
) -> None:
    """The trailers of one request took a host 2 GiB, also after it was refused."""
    if answers_first:
        recorder.answers_first = True
    assert await flood(port, opening, block) < 32 * MIB
    await talk(port, [GET + b"\r\n"], answers=1)
    assert sent(recorder)[-1] == ("/a", b"")


@pytest.mark.parametrize("limits", [replace(CALM, unread_bytes=MIB)])
async def test_a_body_that_nobody_reads_is_dropped_up_to_its_bound(port: int, recorder: Recorder) -> None:
    """Its sender reads the answer behind it; an endless one is cut off."""
    recorder.answers_first = True
    body = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + b"x" * 500_000
    assert not (await talk(port, [body], answers=1)).is_closed
    assert await flood(port, CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n") < 32 * MIB


@pytest.mark.parametrize("limits", [replace(CALM, unread_s=0.05)])
async def test_a_body_that_nobody_reads_has_to_end(port: int, recorder: Recorder) -> None:
    recorder.answers_first = True
    assert (await talk(port, [CHUNKED + b"1\r\n"], answers=2)).is_closed


@pytest.mark.parametrize("limits", [replace(CALM, idle_s=0.05)])
async def test_a_connection_without_requests_is_closed(port: int) -> None:
    assert (await talk(port, [GET + b"\r\n"], answers=2)).is_closed


async def test_requests_behind_one_that_runs_stay_unread(port: int, recorder: Recorder) -> None:
    """A client that sends and never listens holds a few buffers of the system, and nothing of ours."""
    recorder.hold.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        block, written = (GET + b"\r\n") * 1000, 0
        writer.write(block)
        await recorder.arrived.wait()
        tracemalloc.start()
        with suppress(TimeoutError):
            while written < 64 * MIB:
                async with asyncio.timeout(0.5):
                    writer.write(block)
                    await writer.drain()
                written += len(block)
        tracemalloc.stop()
        assert written < 32 * MIB
        assert len(recorder.seen) == 1
        recorder.hold.set()
        await reader.readexactly(100)


class Sockets:
    """An application that accepts every WebSocket, and reads it when it is told to."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.messages: list[int] = []
        self._ended = asyncio.Event()
        self._code = 0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await self.reads.wait()
        while (message := await receive())["type"] == "websocket.receive":
            self.messages.append(len(message.get("bytes") or message.get("text") or ""))
        self._code = message["code"]
        self._ended.set()

    async def ended(self) -> int:
        """The code that it ended with."""
        async with asyncio.timeout(60):
            await self._ended.wait()
        return self._code


@pytest.fixture
def sockets(recorder: Recorder) -> Sockets:
    """The application behind every WebSocket."""
    found = Sockets()
    recorder.sockets = found
    return found


HANDSHAKE = (
    b"GET /s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A masked frame; the mask is zero, so that the payload can be read."""
    first = (0x80 if fin else 0) | opcode
    if len(payload) < 126:
        return struct.pack("!BB", first, 0x80 | len(payload)) + b"\0\0\0\0" + payload
    return struct.pack("!BBQ", first, 0x80 | 127, len(payload)) + b"\0\0\0\0" + payload


@pytest.mark.parametrize(
    "block",
    [frame(9, b"ping") * 5000, frame(1, b"hello") * 5000, frame(2, b"") * 5000],
    ids=["pings", "messages", "empty messages"],
)
async def test_frames_wait_until_somebody_takes_them(port: int, sockets: Sockets, block: bytes) -> None:
    """Who floods a function that does not read, or does not read the pongs, is not read either."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        written = 0
        with suppress(TimeoutError):
            while written < 64 * MIB:
                async with asyncio.timeout(1):
                    writer.write(block)
                    await writer.drain()
                written += len(block)
        assert written < 64 * MIB
    sockets.reads.set()
    await sockets.ended()


@pytest.mark.parametrize(
    ("block", "code"),
    [
        (frame(1, b"", fin=False) + frame(0, b"x" * 1000, fin=False) * 2000, 1009),
        (frame(2, b"x" * 2_000_000), 1009),
        (frame(1, b"\xff"), 1007),
        (frame(9, b"x" * 126), 1002),
        (frame(0, b"x"), 1002),
        (frame(3, b"x"), 1002),
        (b"\x81\x05hello", 1002),
    ],
    ids=["fragments", "a frame", "no text", "a long ping", "no begin", "no frame", "no mask"],
)
async def test_frames_that_are_none_end_it(port: int, sockets: Sockets, block: bytes, code: int) -> None:
    sockets.reads.set()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(block)
        async with asyncio.timeout(60):
            assert await sockets.ended() == code
            assert struct.pack("!H", code) in await reader.read()
    assert sockets.messages == []


async def test_fragments_without_bytes_cost_nothing(port: int, sockets: Sockets) -> None:
    sockets.reads.set()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(1, b"a", fin=False) + frame(0, b"", fin=False) * 50_000 + frame(0, b"b"))
        writer.write(frame(8, b"\x03\xe8"))
        assert await sockets.ended() == 1000
    assert sockets.messages == [2]


async def test_a_bomb_is_not_unpacked(port: int, sockets: Sockets) -> None:
    """Compressed it is small."""
    sockets.reads.set()
    with pytest.raises(ConnectionClosed):  # noqa: PT012 - the end may come at either
        async with connect(f"ws://127.0.0.1:{port}/s", max_size=None) as client:
            await client.send(b"\0" * 50_000_000)
            await client.recv()
    assert (await sockets.ended(), sockets.messages) == (1009, [])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that looks often whether the client is there."""
    monkeypatch.setattr(websocket, "PING_S", 0.05)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("behaviour", ["silent", "one byte after the other"])
async def test_a_client_that_has_gone_or_trickles_is_cut_off(
    port: int, sockets: Sockets, behaviour: str
) -> None:
    """It answers no ping, or never ends the message it has begun."""
    sockets.reads.set()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer), suppress(ConnectionError):
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        hearing = asyncio.create_task(_heard_all(reader))
        if behaviour != "silent":
            writer.write(frame(1, b"", fin=False))
        while not hearing.done():
            if behaviour != "silent":
                writer.write(frame(0, b"x", fin=False) + frame(10, b""))
            await asyncio.wait({hearing}, timeout=0.01)
    assert await sockets.ended() == (1011 if behaviour == "silent" else 1008)


@pytest.mark.usefixtures("impatient")
async def test_a_client_that_answers_pings_stays(port: int, sockets: Sockets) -> None:
    sockets.reads.set()
    async with connect(f"ws://127.0.0.1:{port}/s", ping_interval=None) as client:
        await asyncio.sleep(0.5)
        await client.send(os.urandom(10))
    assert (await sockets.ended(), sockets.messages) == (1000, [10])


async def takes_nothing(port: int, asked: bytes, gone: asyncio.Event) -> None:
    """A client that asks, and never reads."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    with closing(writer):
        writer.write(asked)
        async with asyncio.timeout(60):
            await gone.wait()
        assert not reader.at_eof()


@pytest.mark.parametrize("limits", [replace(CALM, stalled_s=0.05)])
async def test_a_client_that_takes_no_answer_is_cut_off(port: int, recorder: Recorder) -> None:
    """It would hold a place of the function for ever."""
    gone = asyncio.Event()

    async def talkative(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await _next(receive)) is None:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        gone.set()

    recorder.other = talkative
    await takes_nothing(port, GET + b"\r\n", gone)


async def _next(receive: Receive) -> object:
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            return await receive()
    return None


@pytest.mark.usefixtures("impatient")
async def test_a_websocket_that_takes_nothing_is_cut_off(port: int, recorder: Recorder) -> None:
    gone = asyncio.Event()

    async def talkative(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "bytes": b"x" * 65536})
        finally:
            gone.set()

    recorder.sockets = talkative
    await takes_nothing(port, HANDSHAKE, gone)
