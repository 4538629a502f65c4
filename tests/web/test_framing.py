"""Where a message ends: for each stream of bytes how many requests the application saw, with which bodies,
and whether the connection was closed. A proxy that reads a stream otherwise must find no second request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.web.recording import Recorder, header, sent, talk, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
"""What an attacker wants to be taken for a request."""
UPGRADE = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
)
SOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


class Case(NamedTuple):
    """A stream, and what is made of it."""

    stream: bytes
    requests: Sequence[tuple[str, bytes]]
    """Path and body of each request that the application got whole."""
    statuses: Sequence[int]
    is_closed: bool


def good(stream: bytes, *requests: tuple[str, bytes]) -> Case:
    """Every request is answered, and the connection stays."""
    return Case(stream, requests, [200] * len(requests), is_closed=False)


def last(stream: bytes, *requests: tuple[str, bytes]) -> Case:
    """Every request is answered, and the connection ends: what follows is nobody's."""
    return Case(stream + NEXT, requests, [200] * len(requests), is_closed=True)


def bad(stream: bytes, status: int = 400) -> Case:
    """Refused before the application is asked, and the connection ends."""
    return Case(stream + NEXT, (), [status], is_closed=True)


def broken(stream: bytes) -> Case:
    """The application was asked, and told that the body has no end."""
    return bad(stream)


CASES = {
    # One length, or chunks, never both.
    "no body": good(GET + b"\r\n", ("/a", b"")),
    "a length": good(POST + b"Content-Length: 3\r\n\r\nabc", ("/a", b"abc")),
    "a length with zeros": good(POST + b"Content-Length: 003\r\n\r\nabc", ("/a", b"abc")),
    "a length of zero": good(POST + b"Content-Length: 0\r\n\r\n" + NEXT, ("/a", b""), ("/next", b"")),
    "a body of a GET": good(GET + b"Content-Length: 3\r\n\r\nabc" + NEXT, ("/a", b"abc"), ("/next", b"")),
    "chunks": good(
        CHUNKED + b"\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" + NEXT, ("/a", b"abcde"), ("/next", b"")
    ),
    "coding in capitals": good(POST + b"transfer-encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", ("/a", b"a")),
    "both": bad(CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n"),
    "both, the other way": bad(POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nZ\r\nQ"),
    "two lengths": bad(POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
    "two equal lengths": bad(POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "a list of lengths": bad(POST + b"Content-Length: 3, 3\r\n\r\nabc"),
    "an empty length": bad(POST + b"Content-Length:\r\n\r\n"),
    "a signed length": bad(POST + b"Content-Length: +3\r\n\r\nabc"),
    "a negative length": bad(POST + b"Content-Length: -3\r\n\r\nabc"),
    "a length in hexadecimal": bad(POST + b"Content-Length: 0x3\r\n\r\nabc"),
    "a length with an underscore": bad(POST + b"Content-Length: 1_0\r\n\r\n" + b"a" * 10),
    "a length with a space": bad(POST + b"Content-Length: 1 0\r\n\r\n" + b"a" * 10),
    "a length beyond 64 bits": bad(POST + b"Content-Length: 18446744073709551619\r\n\r\nabc"),
    "two codings": bad(CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a coding twice": bad(POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    "another coding": bad(POST + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n"),
    "another coding first": bad(POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "no coding": bad(POST + b"Transfer-Encoding: identity\r\n\r\n"),
    "an empty coding": bad(POST + b"Transfer-Encoding:\r\n\r\n"),
    "a coding with a tab": bad(POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    "a coding with a parameter": bad(POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
    "a space before the colon": bad(POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    "a space before the name": bad(POST + b" Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a coding behind a fold": bad(POST + b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    # Chunks.
    "an extension": good(CHUNKED + b"\r\n1;a=b\r\na\r\n0;c\r\n\r\n", ("/a", b"a")),
    "a chunk in hexadecimal": good(CHUNKED + b"\r\nA\r\n" + b"x" * 10 + b"\r\n0\r\n\r\n", ("/a", b"x" * 10)),
    "a size that is none": broken(CHUNKED + b"\r\nzz\r\n\r\n"),
    "no size": broken(CHUNKED + b"\r\n\r\n\r\n"),
    "a negative size": broken(CHUNKED + b"\r\n-1\r\na\r\n0\r\n\r\n"),
    "a size with 0x": broken(CHUNKED + b"\r\n0x1\r\na\r\n0\r\n\r\n"),
    "a size with a space": broken(CHUNKED + b"\r\n1 \r\na\r\n0\r\n\r\n"),
    "a size beyond 64 bits": broken(CHUNKED + b"\r\n10000000000000001\r\na\r\n0\r\n\r\n"),
    "a size with a bare line feed": broken(CHUNKED + b"\r\n1\na\r\n0\r\n\r\n"),
    "a size with a bare return": broken(CHUNKED + b"\r\n1\ra\r\n0\r\n\r\n"),
    "an extension with a bare line feed": broken(CHUNKED + b"\r\n1;\nx\r\na\r\n0\r\n\r\n"),
    "an extension with NUL": broken(CHUNKED + b"\r\n1;\0\r\na\r\n0\r\n\r\n"),
    "a chunk longer than its size": broken(CHUNKED + b"\r\n1\r\nab\r\n0\r\n\r\n"),
    "a chunk with a bare line feed behind": broken(CHUNKED + b"\r\n1\r\na\n0\r\n\r\n"),
    "a chunk with a bare return behind": broken(CHUNKED + b"\r\n1\r\na\r0\r\n\r\n"),
    "a trailer": good(CHUNKED + b"\r\n1\r\na\r\n0\r\nX: b\r\n\r\n" + NEXT, ("/a", b"a"), ("/next", b"")),
    "a trailer that is none": broken(CHUNKED + b"\r\n0\r\nno colon\r\n\r\n"),
    "a trailer with a fold": broken(CHUNKED + b"\r\n0\r\nX: a\r\n b\r\n\r\n"),
    "a trailer with a bare line feed": broken(CHUNKED + b"\r\n0\r\nX: a\n\r\n"),
    "a trailer with NUL": broken(CHUNKED + b"\r\n0\r\nX: a\0\r\n\r\n"),
    "a trailer of one request line": broken(CHUNKED + b"\r\n0\r\nGET /x HTTP/1.1\r\n\r\n"),
    # Lines.
    "a fold": bad(GET + b"X: a\r\n b\r\n\r\n"),
    "a fold with a tab": bad(GET + b"X: a\r\n\tb\r\n\r\n"),
    "a bare line feed": bad(GET + b"X: a\nY: b\r\n\r\n"),
    "a bare line feed behind the request line": bad(b"GET /a HTTP/1.1\nHost: x\r\n\r\n"),
    "bare line feeds only": bad(b"GET /a HTTP/1.1\nHost: x\n\n"),
    "a bare line feed at the end": bad(GET + b"X: a\r\n\n"),
    "a bare return": bad(GET + b"X: a\rb\r\n\r\n"),
    "a bare return at the end": bad(GET + b"X: a\r\r\n\r\n"),
    "NUL in a value": bad(GET + b"X: a\0b\r\n\r\n"),
    "NUL in a name": bad(GET + b"X\0: a\r\n\r\n"),
    "another control in a value": bad(GET + b"X: a\x01\r\n\r\n"),
    "an empty name": bad(GET + b": a\r\n\r\n"),
    "no colon": bad(GET + b"X\r\n\r\n"),
    "a name with a bracket": bad(GET + b"X[0]: a\r\n\r\n"),
    "an empty value": good(GET + b"X:\r\n\r\n", ("/a", b"")),
    "blank lines before": good(b"\r\n\r\n" + GET + b"\r\n", ("/a", b"")),
    "a blank line between": good(GET + b"\r\n\r\n" + NEXT, ("/a", b""), ("/next", b"")),
    "too many blank lines": bad(b"\r\n" * 9 + GET + b"\r\n"),
    "a bare line feed before": bad(b"\n" + GET + b"\r\n"),
    # The request line.
    "two spaces": bad(b"GET  /a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "two spaces before the version": bad(b"GET /a  HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a space at the end": bad(b"GET /a HTTP/1.1 \r\nHost: x\r\n\r\n"),
    "a tab": bad(b"GET\t/a\tHTTP/1.1\r\nHost: x\r\n\r\n"),
    "no version": bad(b"GET /a\r\nHost: x\r\n\r\n"),
    "HTTP/0.9": bad(b"GET /a HTTP/0.9\r\nHost: x\r\n\r\n"),
    "HTTP/1.2": bad(b"GET /a HTTP/1.2\r\nHost: x\r\n\r\n"),
    "HTTP/2": bad(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "another protocol": bad(b"GET /a RTSP/1.0\r\nHost: x\r\n\r\n"),
    "a small method": bad(b"get /a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "an unknown method": bad(b"FOO /a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a byte that is no ASCII": bad(b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n"),
    "NUL in the target": bad(b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "TLS": bad(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64),
    # Targets.
    "a query": good(b"GET /a?b=c?d HTTP/1.1\r\nHost: x\r\n\r\n", ("/a", b"")),
    "an absolute target": good(b"GET http://x/a HTTP/1.1\r\nHost: x\r\n\r\n", ("/a", b"")),
    "an absolute target over TLS": good(b"GET https://x/a HTTP/1.1\r\nHost: x\r\n\r\n", ("/a", b"")),
    "an absolute target with only a query": good(b"GET http://x?b HTTP/1.1\r\nHost: x\r\n\r\n", ("/", b"")),
    "an absolute target of another host": bad(b"GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "an absolute target of nobody": bad(b"GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "an absolute target of nobody over TLS": bad(b"GET https:///a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "an absolute target with a user": bad(b"GET http://u@x/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "an absolute target of another scheme": bad(b"GET ftp://x/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a target without a slash": bad(b"GET a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a fragment": bad(b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a star": good(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", ("*", b"")),
    "a star of another method": bad(b"GET * HTTP/1.1\r\nHost: x\r\n\r\n"),
    "CONNECT": bad(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    "CONNECT with a path": bad(b"CONNECT /a HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    "CONNECT with a body": bad(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405),
    # Host.
    "no host": bad(b"GET /a HTTP/1.1\r\n\r\n"),
    "two hosts": bad(GET + b"Host: y\r\n\r\n"),
    "a host twice": bad(GET + b"Host: x\r\n\r\n"),
    "a list of hosts": bad(b"GET /a HTTP/1.1\r\nHost: x y\r\n\r\n"),
    "a host with a path": bad(b"GET /a HTTP/1.1\r\nHost: x/y\r\n\r\n"),
    "a host with a user": bad(b"GET /a HTTP/1.1\r\nHost: u@x\r\n\r\n"),
    "an address": good(b"GET /a HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", ("/a", b"")),
    "an empty host": good(b"GET /a HTTP/1.1\r\nHost:\r\n\r\n", ("/a", b"")),
    # HTTP/1.0 ends with each answer.
    "1.0": last(b"GET /a HTTP/1.0\r\n\r\n", ("/a", b"")),
    "1.0 that wants to stay": last(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", ("/a", b"")),
    "1.0 with a body": last(b"POST /a HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", ("/a", b"abc")),
    "1.0 with chunks": bad(b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
    "1.0 with chunks that wants to stay": bad(
        b"POST /a HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "1.0 with an upgrade": last(b"GET /a HTTP/1.0\r\n" + SOCKET + b"\r\n", ("/a", b"")),
    # Connection.
    "close": last(GET + b"Connection: close\r\n\r\n", ("/a", b"")),
    "close in a list": last(GET + b"Connection: x, Close\r\n\r\n", ("/a", b"")),
    "close in a second line": last(GET + b"Connection: x\r\nConnection: close\r\n\r\n", ("/a", b"")),
    "keep-alive": good(GET + b"Connection: keep-alive\r\n\r\n", ("/a", b"")),
    # An upgrade that is not served is a request like all, with its body, and the last one.
    "h2c": last(GET + UPGRADE + b"\r\n", ("/a", b"")),
    "h2c with a length": last(POST + UPGRADE + b"Content-Length: 3\r\n\r\nabc", ("/a", b"abc")),
    "h2c with chunks": last(CHUNKED + UPGRADE + b"\r\n3\r\nabc\r\n0\r\n\r\n", ("/a", b"abc")),
    "h2c with a request as its body": last(
        POST + UPGRADE + b"Content-Length: %d\r\n\r\n" % len(NEXT) + NEXT, ("/a", NEXT)
    ),
    "TLS by upgrade": last(GET + b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", ("/a", b"")),
    "an upgrade without Connection": last(GET + b"Upgrade: websocket\r\n\r\n", ("/a", b"")),
    "a choice of upgrades": last(
        GET + b"Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n\r\n", ("/a", b"")
    ),
    "a WebSocket by POST": last(POST + SOCKET + b"Content-Length: 3\r\n\r\nabc", ("/a", b"abc")),
    "a WebSocket with a body": bad(GET + SOCKET + b"Content-Length: 3\r\n\r\nabc"),
    "a WebSocket with chunks": bad(GET + SOCKET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a WebSocket without a key": bad(GET + SOCKET + b"Sec-WebSocket-Version: 13\r\n\r\n"),
    "a WebSocket of another version": bad(
        GET + SOCKET + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 99\r\n\r\n",
        400,
    ),
    # Expect.
    "100-continue with the body": good(
        POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", ("/a", b"abc")
    ),
    "another expectation": good(GET + b"Expect: a miracle\r\n\r\n", ("/a", b"")),
    "1.0 with an expectation": last(
        b"POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", ("/a", b"abc")
    ),
}


def by_byte(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


def halves(stream: bytes) -> list[bytes]:
    return [stream[: len(stream) // 2], stream[len(stream) // 2 :]]


@pytest.mark.parametrize("cut", [lambda stream: [stream], halves, by_byte], ids=["whole", "halves", "bytes"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_every_message_has_one_end(port: int, recorder: Recorder, case: Case, cut: object) -> None:
    """However the stream is cut into packets."""
    assert callable(cut)
    heard = await talk(port, cut(case.stream), answers=len(case.statuses))
    assert (heard.statuses, heard.is_closed) == (list(case.statuses), case.is_closed), heard.raw
    assert sent(recorder) == list(case.requests)


async def test_trailers_are_no_headers(port: int, recorder: Recorder) -> None:
    """They come behind the credentials were asked for, from whoever wrote the body."""
    stream = CHUNKED + b"Trailer: apikey\r\n\r\n1\r\na\r\n0\r\nApikey: stolen\r\nContent-Length: 9\r\n\r\n"
    await talk(port, [stream + NEXT], answers=2)
    first, _ = whole(recorder)
    assert (header(first, b"apikey"), header(first, b"content-length")) == ([], [])


async def test_a_bad_chunk_behind_a_good_one_never_looks_like_the_end(port: int, recorder: Recorder) -> None:
    heard = await talk(port, [CHUNKED + b"\r\n3\r\nabc\r\nzz\r\n" + NEXT], answers=1)
    assert (heard.statuses, heard.is_closed) == ([400], True)
    assert [(each.body, each.is_whole) for each in recorder.seen] in ([], [(b"abc", False)], [(b"", False)])
