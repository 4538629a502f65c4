"""Answers that are sent compressed: pages and lists are mostly names that come again.

The length of a compressed answer tells whether two texts in it are alike. A foreign page that makes a browser
ask with a guess in the address, and can see the length on the way, learns what else the answer has (BREACH,
breachattack.com). Against that: nothing is compressed that, as the browser says, a page of another
origin asks for; and what is has padding of random length, as Django's answers have ("Heal the BREACH", 2022).
No page has a token or a key in it that could be guessed so.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import zlib
from functools import cached_property
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from postmill.web.asgi import Application, Message, Receive, Scope, Send

LEAST_BYTES = 1_000
"""Bytes from which an answer is compressed. A thousand: what is shorter fits into one packet as it is."""
LEVEL = 5
"""How hard zlib tries, from 1 to 9. Five: on a page of 190 KB, 9 takes three times as long for 6 % less."""
ASIDE_FROM = 256 * 1024
"""Bytes from which a thread compresses. 256 KiB take about 6 ms, for which no other request should wait."""
MOST_PADDING = 100
"""Bytes of random length in the head of an answer, at most: as many as in Django's."""
_KINDS = (
    "text/html",
    "text/css",
    "text/javascript",
    "application/json",
    "application/problem+json",
    "image/svg+xml",
)


class SentToMany(bytes):
    """The body of several answers, which is compressed once. The padding differs all the same."""

    @cached_property
    def packed(self) -> bytes:
        """As :func:`gzipped`, without the head."""
        return _packed(self)


class Compressing:
    """Compresses what ``application`` answers in one piece, where the client takes gzip."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        wanted = takes_gzip(headers.get("accept-encoding", "")) and not _is_asked_from_elsewhere(headers)
        await self._application(scope, receive, _Answer(send).send if wanted else send)


class _Answer:
    """Keeps the head of an answer until it is known whether its body comes in one piece. A stream does not:
    it goes out as it comes.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._head: Message | None = None

    async def send(self, message: Message) -> None:
        """A part of the answer."""
        head, self._head = self._head, None
        if message["type"] == "http.response.start" and _may_be_compressed(Headers(raw=message["headers"])):
            self._head = message
            return
        if head is not None:
            body = message.get("body", b"")
            if len(body) >= LEAST_BYTES and not message.get("more_body", False):
                message = {**message, "body": _head() + await _compressed(body)}
                _tell(head, len(message["body"]))
            await self._send(head)
        await self._send(message)


def takes_gzip(accepted: str) -> bool:
    """Whether the header ``Accept-Encoding`` allows it."""
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "").rstrip("0.") != "q="
    return False


def _is_asked_from_elsewhere(headers: Headers) -> bool:
    return headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}


def _may_be_compressed(headers: Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0]
    return kind in _KINDS and "content-encoding" not in headers


def gzipped(body: bytes) -> bytes:
    """The body as it is sent."""
    return _head() + _packed(body)


async def _compressed(body: bytes) -> bytes:
    if isinstance(body, SentToMany):
        return body.packed
    return await asyncio.to_thread(_packed, body) if len(body) >= ASIDE_FROM else _packed(body)


def _head() -> bytes:
    """The head of a gzip member, with padding where a file's name may stand, which every reader skips (RFC
    1952, section 2.3.1): no time, no system, and the flag of a name.
    """
    return b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\xff" + b"-" * secrets.randbelow(MOST_PADDING) + b"\x00"


def _packed(body: bytes) -> bytes:
    """What follows the head: the compressed bytes, their checksum and length (RFC 1952, section 2.3)."""
    packing = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packing.compress(body) + packing.flush() + struct.pack("<LL", zlib.crc32(body), len(body) % 2**32)


def _tell(head: Message, length: int) -> None:
    """What the head says of the compressed body. It is no longer, byte by byte, what its tag is of."""
    headers = MutableHeaders(scope=head)
    headers["content-encoding"] = "gzip"
    headers["content-length"] = str(length)
    headers.add_vary_header("accept-encoding")
    if "etag" in headers:
        headers["etag"] = f"W/{headers['etag']}"
