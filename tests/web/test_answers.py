"""How an answer is written: one date, one end, and nothing that a client of HTTP/1.0 can't read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.web.recording import Recorder, talk

if TYPE_CHECKING:
    from postmill.web.asgi import Receive, Scope, Send

GET = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
OLD = b"GET /a HTTP/1.0\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD", 1)


def answering(
    recorder: Recorder, *bodies: bytes, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Have the application answer so, each body in a message of its own."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers or []})
        for body in bodies:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})

    recorder.other = application


async def heard(port: int, request: bytes) -> tuple[list[bytes], bytes]:
    """The lines of the head, and the body as it was written."""
    head, _, body = (await talk(port, [request], answers=9)).raw.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


async def test_a_stream_is_chunked_for_a_client_that_reads_chunks(port: int, recorder: Recorder) -> None:
    answering(recorder, b"one", b"", b"two")
    lines, body = await heard(port, GET)
    assert b"transfer-encoding: chunked" in lines
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_a_stream_ends_with_the_connection_for_one_that_does_not(port: int, recorder: Recorder) -> None:
    """HTTP/1.0 knows no chunks: their sizes were taken for text."""
    answering(recorder, b"one", b"", b"two")
    lines, body = await heard(port, OLD)
    assert [line for line in lines if line.startswith((b"transfer-encoding", b"content-length"))] == []
    assert b"connection: close" in lines
    assert body == b"onetwo"


@pytest.mark.parametrize("request_bytes", [GET, OLD])
async def test_a_length_is_kept(port: int, recorder: Recorder, request_bytes: bytes) -> None:
    answering(recorder, b"one", b"two", headers=[(b"Content-Length", b"6")])
    lines, body = await heard(port, request_bytes)
    assert (lines.count(b"content-length: 6"), body) == (1, b"onetwo")


@pytest.mark.parametrize(("request_bytes", "status"), [(HEAD, 200), (GET, 204), (GET, 304)])
async def test_what_has_no_body_gets_none(
    port: int, recorder: Recorder, request_bytes: bytes, status: int
) -> None:
    answering(recorder, status=status)
    lines, body = await heard(port, request_bytes)
    assert (body, b"transfer-encoding: chunked" in lines) == (b"", False)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], 1),
        ([(b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT")], 1),
        ([(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"), (b"Date", b"Thu, 01 Jan 1970 00:00:01 GMT")], 1),
    ],
)
async def test_there_is_one_date(
    port: int, recorder: Recorder, given: list[tuple[bytes, bytes]], told: int
) -> None:
    """The application's own, if it has one."""
    answering(recorder, headers=given)
    lines, _ = await heard(port, GET)
    dates = [line for line in lines if line.startswith(b"date:")]
    assert len(dates) == told
    assert not given or dates == [b"date: Thu, 01 Jan 1970 00:00:00 GMT"]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"1"), (b"content-length", b"2")],
        [(b"x", b"a\r\nset-cookie: b")],
        [(b"x", b"a\0")],
        [(b"x y", b"a")],
    ],
)
async def test_headers_that_split_an_answer_are_not_written(
    port: int, recorder: Recorder, headers: list[tuple[bytes, bytes]]
) -> None:
    answering(recorder, headers=headers)
    assert (await talk(port, [GET], answers=9)).statuses == [500]


async def test_framing_is_the_servers(port: int, recorder: Recorder) -> None:
    """An application that says how it frames says nothing."""
    answering(recorder, b"one", headers=[(b"Transfer-Encoding", b"identity"), (b"Keep-Alive", b"1")])
    lines, body = await heard(port, GET)
    assert lines.count(b"transfer-encoding: chunked") == 1
    assert body == b"3\r\none\r\n0\r\n\r\n"


@pytest.mark.parametrize(("request_bytes", "end"), [(GET, b"3\r\none\r\n"), (OLD, b"one")])
async def test_an_answer_that_is_cut_looks_cut(
    port: int, recorder: Recorder, request_bytes: bytes, end: bytes
) -> None:
    """Without chunks and without a length only a reset says so."""
    read = asyncio.Event()

    async def failing(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await read.wait()
        raise ZeroDivisionError

    recorder.other = failing
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_bytes)
    await reader.readuntil(end)
    read.set()
    if request_bytes is OLD:
        with pytest.raises(ConnectionResetError):
            await reader.read()
    else:
        assert await reader.read() == b""
    writer.close()


async def test_the_body_is_asked_for_when_the_application_reads(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_body_that_was_not_asked_for_is_nobodys(port: int, recorder: Recorder) -> None:
    """The client may send it or the next request: the answer is the last one."""
    recorder.answers_first = True
    body = b"GET /stolen HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    assert b"connection: close" in await reader.readuntil(b"ok")
    writer.write(body)
    assert await reader.read() == b""
    assert len(recorder.seen) == 1
    writer.close()
