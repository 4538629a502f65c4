"""The head of a response, and how its body is framed: for clients of HTTP/1.0 never in chunks."""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

CHUNKED = -1
"""The ``length`` of a body in chunks."""
UNTIL_CLOSE = -2
"""The ``length`` of a body that ends with the connection."""
_WITHOUT_BODY = frozenset({204, 304})
_ONCE = frozenset({b"date", b"content-length"})
_OURS = frozenset({b"transfer-encoding", b"keep-alive"})
"""Headers that concern the connection, which is the server's and not the application's."""
_is_name = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch


class ResponseHead(NamedTuple):
    """What is written, and what follows from it."""

    raw: bytes
    length: int
    """Bytes of the body that follows, :data:`CHUNKED` or :data:`UNTIL_CLOSE`."""
    keeps_alive: bool
    """Whether another request may follow on the connection."""


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_STATUS_LINES = {status: _status_line(status) for status in range(200, 600)}


class _Clock:
    """The ``Date`` of this second, made once a second."""

    second = 0
    line = b""

    def now(self) -> bytes:
        """The whole header line."""
        second = int(time.time())
        if second != self.second:
            self.second = second
            self.line = b"date: " + formatdate(second, usegmt=True).encode() + b"\r\n"
        return self.line


_CLOCK = _Clock()


def response_head(
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    method: str,
    http_version: str,
    keeps_alive: bool,
) -> ResponseHead:
    """The head for ``status`` and ``headers``. Raise ``RuntimeError`` for what no client could read.

    ``Date`` and ``Content-Length`` come once, also when the application sets them.
    """
    if status not in _STATUS_LINES:
        raise RuntimeError(f"{status} is no status of a response.")
    lines, given, closes = _lines(headers)
    keeps_alive = keeps_alive and not closes
    length = _framed(status, given, method=method, http_version=http_version)
    if length == UNTIL_CLOSE:
        keeps_alive = False
    if length == CHUNKED:
        lines.append(b"transfer-encoding: chunked\r\n")
    if not keeps_alive:
        lines.append(b"connection: close\r\n")
    date = b"" if b"date" in given else _CLOCK.now()
    return ResponseHead(b"".join((_STATUS_LINES[status], date, *lines, b"\r\n")), length, keeps_alive)


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> tuple[list[bytes], dict[bytes, bytes], bool]:
    """The header lines; those that come once by name; whether the application ends the connection."""
    lines: list[bytes] = []
    once: dict[bytes, bytes] = {}
    closes = False
    for given, value in headers:
        name = _name(given)
        if name in _ONCE:
            if once.setdefault(name, value) != value and name == b"content-length":
                raise RuntimeError("The response has two lengths.")
            continue
        if name == b"connection":
            closes = closes or b"close" in value.lower()
        elif name not in _OURS:
            lines.append(name + b": " + value + b"\r\n")
    for name, value in once.items():
        lines.append(name + b": " + value + b"\r\n")
    raw = b"".join(lines)
    if not raw.count(b"\r") == raw.count(b"\n") == len(lines) or b"\0" in raw:
        raise RuntimeError("A header of the response has two lines.")
    return lines, once, closes


@lru_cache(maxsize=256)
def _name(given: bytes) -> bytes:
    """In lower case. Applications use few names."""
    if not _is_name(given):
        raise RuntimeError("A header of the response has a name that is none.")
    return given.lower()


def _framed(status: int, given: dict[bytes, bytes], *, method: str, http_version: str) -> int:
    """Where the body ends (RFC 9112, 6.3)."""
    if method == "HEAD" or status in _WITHOUT_BODY:
        return 0
    if b"content-length" in given:
        return int(given[b"content-length"])
    return CHUNKED if http_version == "1.1" else UNTIL_CLOSE
