"""What strangers send that is no honest request: refused or bounded, and the next caller never notices."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postmill.gateway.application import Gateway
from postmill.gateway.platform_errors import rendered
from postmill.gateway.wrappers import Pace
from postmill.web.limits import ConnectionLimits
from postmill.web.server import WebServer
from tests.gateway import stand_in
from tests.gateway.conftest import KEYS, MOST_BYTES, TRUST
from tests.properties import FIRST_FAILURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.web.asgi import Receive, Scope, Send
    from tests.gateway.stand_in import StandInHost

IMPATIENT = ConnectionLimits(head_bytes=8192, head_s=0.2)
FEW = ConnectionLimits(connections=20, head_bytes=8192, head_s=100)
KEY = b"apikey: " + KEYS.anon.encode() + b"\r\n"
GET = b"GET /functions/v1/hello HTTP/1.1\r\nHost: x\r\n" + KEY
POST = b"POST /functions/v1/echo HTTP/1.1\r\nHost: x\r\n" + KEY


async def talk(url: str, sent: bytes) -> bytes:
    """Everything the gateway answers to ``sent`` until it hangs up."""
    address = httpx.URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    with closing(writer):
        writer.write(sent)
        heard = b""
        try:
            while chunk := await reader.read(65536):
                heard += chunk
        except ConnectionError:
            pass
        return heard


def statuses(heard: bytes) -> list[int]:
    """The status of each response in ``heard``."""
    return [int(each.split(b" ", 2)[1]) for each in heard.split(b"\r\n") if each.startswith(b"HTTP/1.1 ")]


async def still_serves(url: str) -> bool:
    """Whether an honest caller is served."""
    async with httpx.AsyncClient(headers={"apikey": KEYS.anon}) as client:
        return (await client.get(f"{url}/functions/v1/hello")).is_success


SMUGGLED = b"GET /functions/v1/nobody HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Content-Length: 1\r\nContent-Length: 0\r\n\r\nx" + SMUGGLED,
        POST + b"Content-Length: 1, 0\r\n\r\nx" + SMUGGLED,
        POST + b"Content-Length: +1\r\n\r\nx" + SMUGGLED,
        POST + b"Content-Length: 0x1\r\n\r\nx" + SMUGGLED,
        POST + b"Content-Length: -1\r\n\r\n" + SMUGGLED,
        POST + b"Content-Length: 99999999999999999999999\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\n\r\n1;\nx=\r\nx\r\n0\r\n\r\n" + SMUGGLED,
        GET + b"X: a\rb\r\n\r\n" + SMUGGLED,
        GET + b"X: a\0b\r\n\r\n" + SMUGGLED,
        GET + b" folded\r\n\r\n" + SMUGGLED,
        GET + b"no colon\r\n\r\n" + SMUGGLED,
        GET + b": empty\r\n\r\n" + SMUGGLED,
        b"GET /functions/v1/hello\xff HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED,
        b"GET /functions/v1/hello HTTP/9.9\r\nHost: x\r\n\r\n" + SMUGGLED,
        b"GET  HTTP/1.1\r\n\r\n" + SMUGGLED,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
        b"\0" * 100,
        b"get /functions/v1/hello HTTP/1.1\r\n\r\n" + SMUGGLED,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_what_two_servers_could_read_differently_ends_the_connection(
    url: str, host: StandInHost, request_bytes: bytes
) -> None:
    """Whatever comes after it is never taken for a request."""
    heard = await talk(url, request_bytes)
    assert statuses(heard) in ([], [400], [413])
    assert b"x-relay-error: true" in heard
    assert b"connection: close" in heard
    assert len(host.calls) <= 1
    assert await still_serves(url)


async def test_a_head_beyond_its_bound_is_refused(url: str) -> None:
    for head in (
        GET + b"X: " + b"a" * 9000 + b"\r\n\r\n",
        GET + b"X: 1\r\n" * 2000 + b"\r\n",
        GET + b"X: " + b"a" * 100_000,
        b"GET /functions/v1/hello?" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 100_000,
    ):
        heard = await talk(url, head)
        assert statuses(heard) == [431], heard[:200]
        assert json.loads(heard.partition(b"\r\n\r\n")[2])["code"] == "HEADERS_TOO_LARGE"


async def test_a_small_head_before_a_large_body_is_no_large_head(url: str) -> None:
    length = str(MOST_BYTES).encode()
    heard = await talk(
        url, POST + b"Connection: close\r\nContent-Length: " + length + b"\r\n\r\n" + b"x" * MOST_BYTES
    )
    assert statuses(heard) == [200]


@pytest.mark.parametrize("limits", [IMPATIENT])
@pytest.mark.parametrize("sent", [b"", b"GET /functions/v1/hello HTTP/1.1\r\nHost: x\r\nX-Slow"])
async def test_a_connection_that_says_too_little_is_hung_up_on(url: str, sent: bytes) -> None:
    assert statuses(await talk(url, sent)) == [408]


@pytest.mark.parametrize("limits", [IMPATIENT])
async def test_a_second_request_gets_no_more_time_than_the_first(url: str) -> None:
    heard = await talk(url, GET + b"\r\nGET /fun")
    assert statuses(heard) == [200, 408]


async def test_pipelined_requests_are_answered_in_order(url: str, host: StandInHost) -> None:
    heard = await talk(url, (GET + b"\r\n") * 50 + GET + b"Connection: close\r\n\r\n")
    assert statuses(heard) == [200] * 51
    assert len(host.calls) == 51


@pytest.mark.parametrize("limits", [FEW])
async def test_silent_connections_make_room_for_new_ones(url: str) -> None:
    address = httpx.URL(url)

    async def opened() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(address.host, address.port)

    async def serves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(GET + b"\r\n")
        return statuses(await reader.readuntil(b"0\r\n\r\n")) == [200]

    older = [await opened() for _ in range(FEW.connections)]
    assert await serves(*older[0])
    newer = [await opened() for _ in range(FEW.connections)]
    assert all([await serves(*each) for each in newer])
    assert await older[0][0].read() == b""  # it had its answer, and would take more for the next one
    for reader, _ in older[1:]:
        heard = await reader.read()
        assert (statuses(heard), b'"CAPACITY"' in heard) == ([503], True)
    for _, writer in (*older, *newer):
        writer.close()


@pytest.mark.parametrize("limits", [FEW])
async def test_when_all_are_busy_one_more_is_told_so(url: str, host: StandInHost) -> None:
    release, arrived = asyncio.Event(), asyncio.Semaphore(0)

    async def busy(_scope: Scope, _receive: Receive, send: Send) -> None:
        arrived.release()
        await release.wait()
        await stand_in.answer(send)

    host.apps["busy"] = busy
    request = b"GET /functions/v1/busy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + KEY + b"\r\n"
    callers = [asyncio.create_task(talk(url, request)) for _ in range(FEW.connections)]
    for _ in callers:
        await arrived.acquire()
    assert statuses(await talk(url, GET + b"\r\n")) == [503]
    release.set()
    assert [statuses(heard) for heard in await asyncio.gather(*callers)] == [[200]] * FEW.connections


async def test_a_body_that_nobody_wants_is_not_read_to_its_end(url: str) -> None:
    """The answer comes before the body; the sender is cut off in the end."""
    heard = await talk(url, POST + b"Content-Length: 100000000000\r\n\r\n" + b"x" * 200_000)
    assert statuses(heard) == [413]


@pytest.mark.parametrize("pace", [Pace(within_s=0)])
@pytest.mark.parametrize("length", [b"Content-Length: 100000", b"Transfer-Encoding: chunked"])
async def test_a_body_that_does_not_come_is_not_waited_for(
    url: str, host: StandInHost, length: bytes
) -> None:
    heard = await talk(url, POST + length + b"\r\n\r\n")
    assert statuses(heard) == [408]
    head, _, body = heard.partition(b"\r\n\r\n")
    assert json.loads(body)["code"] == "REQUEST_TIMEOUT"
    assert b"connection: close" in head
    assert b"x-relay-error: true" not in head
    assert len(host.calls) == 1
    assert await still_serves(url)


@pytest.mark.parametrize("pace", [Pace(within_s=0.3)])
async def test_a_trickle_is_no_progress(url: str) -> None:
    """One byte after the other would hold a place for ever."""
    address = httpx.URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    with closing(writer):
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        hearing = asyncio.create_task(reader.readuntil(b"}"))
        while not hearing.done():
            writer.write(b"1\r\nx\r\n")
            await asyncio.wait({hearing}, timeout=0.01)
        assert statuses(hearing.result()) == [408]


@pytest.mark.parametrize("pace", [Pace(within_s=0)])
async def test_once_the_answer_has_begun_both_sides_take_their_time(url: str, host: StandInHost) -> None:
    async def answers_first(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await send({"type": "http.response.body", "body": (await receive())["body"], "more_body": False})

    host.apps["echo"] = answers_first
    address = httpx.URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    with closing(writer):
        writer.write(POST + b"Content-Length: 4\r\n\r\n")
        assert statuses(await reader.readuntil(b"begun\r\n")) == [200]
        writer.write(b"last")
        assert b"last" in await reader.readuntil(b"0\r\n\r\n")


async def test_credentials_in_odd_bytes_are_refused(url: str) -> None:
    for value in (b"Bearer \xff\xfe", b"\xc3\xa9", b"Bearer " + b"A" * 4000, b"Bearer a.b.c, Bearer d"):
        heard = await talk(
            url,
            b"GET /functions/v1/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: "
            + value
            + b"\r\n\r\n",
        )
        assert statuses(heard) == [401], value


class Standing(NamedTuple):
    """A gateway that outlives a test, and a client to it."""

    url: str
    client: httpx.Client


@pytest.fixture(scope="module")
def standing() -> Iterator[Standing]:
    """A gateway in a thread, for tests that make many requests of their own."""
    ready: threading.Event = threading.Event()
    found: list[str] = []
    loop = asyncio.new_event_loop()
    app = Gateway(
        stand_in.StandInHost(hello=stand_in.hello, echo=stand_in.echo),
        TRUST,
        max_body_bytes=MOST_BYTES,
    )
    limits = ConnectionLimits(head_bytes=8192)
    server = WebServer("127.0.0.1", 0, limits=limits, max_message_bytes=MOST_BYTES, render=rendered)

    async def serve() -> None:
        found.append(await server.start(app))
        ready.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    with httpx.Client() as client:
        yield Standing(found[0], client)
    asyncio.run_coroutine_threadsafe(server.stop(0.1), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


PIECE = st.sampled_from(
    [
        "functions",
        "v1",
        "hello",
        "echo",
        "control",
        "stop",
        "live",
        "..",
        ".",
        "",
        "%2e%2e",
        "%2f",
        "%00",
        "%ff",
        "ä",
    ]
) | st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8)
PATH = st.lists(PIECE, max_size=6).map("/".join)
HEADER = st.tuples(
    st.sampled_from(
        ["authorization", "apikey", "x-region", "content-type", "expect", "upgrade", "connection"]
    )
    | st.from_regex(rb"[a-z][a-z-]{0,10}", fullmatch=True).filter(lambda name: name not in {b"host", b"te"}),
    st.binary(max_size=30).map(lambda raw: bytes(byte for byte in raw if byte >= 32 and byte != 127).strip()),
)


@settings(FIRST_FAILURE, max_examples=150)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"]),
    path=PATH,
    query=st.text(max_size=10),
    headers=st.lists(HEADER, max_size=4),
    body=st.binary(max_size=200),
    known=st.booleans(),
)
@example(method="POST", path="functions/v1/echo", query="", headers=[], body=b"x", known=True)
@example(
    method="GET",
    path="functions/v1/hello/../../../control/v1/functions",
    query="",
    headers=[],
    body=b"",
    known=False,
)
def test_any_request_gets_one_answer_of_the_documented_form(
    standing: Standing,
    method: str,
    path: str,
    query: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    *,
    known: bool,
) -> None:
    """Never a 500, nothing from a function without credentials, and every error in one form."""
    sent = [(name, value) for name, value in headers if not (known and name in {b"authorization", b"apikey"})]
    sent += [(b"apikey", KEYS.anon.encode())] if known else []
    target = f"/{quote(path, safe='/%')}?{quote(query)}".encode()
    url = httpx.URL(standing.url).copy_with(raw_path=target)
    response = standing.client.request(method, url, headers=sent, content=body)
    assert response.status_code in {200, 400, 401, 403, 404, 405}
    if "sb-error-code" in response.headers and method != "HEAD":
        assert response.json()["code"] == response.headers["sb-error-code"]
        assert response.headers["x-relay-error"] == "true"
    elif not known and response.status_code == 200:
        assert response.content == b'{"status": "ok"}' or method == "HEAD"
