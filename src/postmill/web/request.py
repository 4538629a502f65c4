"""A request as it arrives: its head, what it asks for, and where its body ends (RFC 9112, sections 2 to 7).

llhttp, with its strict settings, reads the header lines. Where the head ends, what the request line says, how
the body is framed and whether it is an upgrade is decided here. A request that two servers could read in two
ways is refused. Trailers and chunk extensions are counted and dropped: they reach no application.
"""

from __future__ import annotations

import re
from collections.abc import Set  # noqa: TC003 - an annotation at run time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

import httptools

from postmill.web.refusal import BAD_REQUEST, HEADERS_TOO_LARGE, METHOD_NOT_ALLOWED, Refused

if TYPE_CHECKING:
    from postmill.web.limits import ConnectionLimits

END = b"\r\n\r\n"
CHUNKED = -1
"""The ``length`` of a body in chunks, which says itself where it ends. Below 0, so that it is no length."""

_request_line = re.compile(rb"([A-Z][A-Z-]{0,31}) ([\x21-\x7e]+) HTTP/1\.([01])\r\n").match
_absolute = re.compile(rb"(?i:https?)://([^/?#@]+)([/?].*)?", re.DOTALL).fullmatch
_host = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?").fullmatch
_length = re.compile(rb"[0-9]{1,18}").fullmatch
_chunk_line_begins = re.compile(rb"(?:[0-9A-Fa-f]{1,16}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?)?").fullmatch
_chunk_line = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t\x20-\x7e\x80-\xff]*)?\r\n").match
_trailer_line = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n").match
_SIZE_LINE = 18
"""Bytes of a chunk's line without extensions: 16 digits of a 64-bit number in hex, and the two of the line's
end.
"""
_NO_WORDS: Set[bytes] = frozenset()
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect"})


@dataclass(slots=True)
class RequestHead:
    """A head that every server reads in the same way."""

    method: str
    path: str
    """Decoded."""
    raw_path: bytes
    query: bytes
    http_version: str
    headers: list[tuple[bytes, bytes]]
    """Names in lower case."""
    length: int
    """Bytes of the body, or :data:`CHUNKED`."""
    keeps_alive: bool
    """Whether another request may follow on the connection."""
    expects_continue: bool
    is_websocket: bool


@dataclass(slots=True)
class _Framing:
    """The headers that concern the message and not the application."""

    minor: bytes
    values: dict[bytes, list[bytes]] = field(default_factory=dict)

    def only(self, name: bytes) -> bytes | None:
        """The value of a header that may come once."""
        found = self.values.get(name)
        if found is None:
            return None
        if len(found) > 1:
            raise Refused(BAD_REQUEST)
        return found[0]

    def tokens(self, name: bytes) -> Set[bytes]:
        """The words of a header that is a list."""
        found = self.values.get(name)
        if found is None:
            return _NO_WORDS
        return {word.strip(b" \t").lower() for word in b",".join(found).split(b",")}


class HeadReader:
    """Reads one head from pieces of it."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._raw = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_read = False
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, data: bytes) -> bytes | None:
        """Take the next bytes of the connection. Return those behind the head; None while it is not whole.

        Raise :class:`Refused` as soon as it can be no head.
        """
        seam = self._raw[-len(END) + 1 :] if self._raw else b""
        found = (seam + data if seam else data).find(END)
        end = found + len(END) - len(seam) if found >= 0 else len(data)
        piece = data[:end]
        self._raw = self._raw + piece if self._raw else piece
        if len(self._raw) > self._limits.head_bytes:
            raise Refused(HEADERS_TOO_LARGE)
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            pass  # what an upgrade is, and what follows it, is not for the parser to say
        except httptools.HttpParserError as error:
            cause = error.__context__
            raise (cause if isinstance(cause, Refused) else Refused(BAD_REQUEST)) from None
        return data[end:] if found >= 0 else None

    def finish(self) -> RequestHead:
        """The head, once its last byte was fed. Raise :class:`Refused` for one that can't be served."""
        raw, headers = self._raw, self._headers
        line = _request_line(raw)
        if line is None or not self._is_read:
            raise Refused(BAD_REQUEST)
        if b" \r\n" in raw or b"\t\r\n" in raw:
            headers = [(name, value.rstrip(b" \t")) for name, value in headers]
        method, target, minor = line.groups()
        framing = _Framing(minor)
        for name, value in headers:
            if name in _FRAMING:
                framing.values.setdefault(name, []).append(value)
        host_may_miss = minor == b"0" or not self._limits.needs_host
        target = _origin_form(method, target, framing, host_may_miss=host_may_miss)
        return _head(method, target, framing, headers)

    def begin_again(self) -> None:
        """Be ready for the next head. Only behind a request without a body, on a connection that stays."""
        self._raw = b""
        self._headers = []
        self._is_read = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        if self._is_read:
            raise Refused(BAD_REQUEST)
        if len(self._headers) > self._limits.headers:
            raise Refused(HEADERS_TOO_LARGE)
        self._is_read = True


def _head(method: bytes, target: bytes, framing: _Framing, headers: list[tuple[bytes, bytes]]) -> RequestHead:
    raw_path, _, query = target.partition(b"?")
    path = raw_path.decode("ascii")
    named = framing.values  # most requests have none of these headers but Host
    connection = framing.tokens(b"connection") if b"connection" in named else _NO_WORDS
    is_framed = b"content-length" in named or b"transfer-encoding" in named
    length = _body_length(framing) if is_framed else 0
    is_websocket = b"upgrade" in named and _is_websocket(method, framing, connection)
    if is_websocket and length:
        raise Refused(BAD_REQUEST)
    is_new = framing.minor == b"1"
    return RequestHead(
        method.decode("ascii"),
        unquote(path) if "%" in path else path,
        raw_path,
        query,
        "1.1" if is_new else "1.0",
        headers,
        length,
        is_new and b"close" not in connection and b"upgrade" not in named,
        is_new and b"expect" in named and b"100-continue" in framing.tokens(b"expect"),
        is_websocket,
    )


def _origin_form(method: bytes, target: bytes, framing: _Framing, *, host_may_miss: bool) -> bytes:
    """The path and query of ``target`` (RFC 9112, 3.2). A target that names a server must name the one that
    ``Host`` names.
    """
    host = framing.only(b"host")
    if method == b"CONNECT":
        raise Refused(METHOD_NOT_ALLOWED)
    if not (host_may_miss if host is None else _host(host)) or b"#" in target:
        raise Refused(BAD_REQUEST)
    if target.startswith(b"/") or (method == b"OPTIONS" and target == b"*"):
        return target
    absolute = _absolute(target)
    if absolute is None or not _host(absolute[1]) or absolute[1].lower() != (host or absolute[1]).lower():
        raise Refused(BAD_REQUEST)
    rest = absolute[2] or b"/"
    return rest if rest.startswith(b"/") else b"/" + rest


def _body_length(framing: _Framing) -> int:
    """How the body is framed (RFC 9112, 6.3): by one length, or by chunks, and never by both."""
    length, coding = framing.only(b"content-length"), framing.only(b"transfer-encoding")
    if coding is not None:
        if length is not None or framing.minor != b"1" or coding.lower() != b"chunked":
            raise Refused(BAD_REQUEST)
        return CHUNKED
    if length is None:
        return 0
    if not _length(length):
        raise Refused(BAD_REQUEST)
    return int(length)


def _is_websocket(method: bytes, framing: _Framing, connection: Set[bytes]) -> bool:
    """Whether this is the one upgrade that is served. Any other is a request like all, and the last one."""
    if b"upgrade" not in connection or method != b"GET" or framing.minor != b"1":
        return False
    return framing.tokens(b"upgrade") == {b"websocket"}


class Body(Protocol):
    """A body that arrives in pieces."""

    is_whole: bool
    """Whether its last byte was fed."""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take the next bytes of the connection. Return what they hold of the body, and what can't be read
        yet or no longer belongs to it. Raise :class:`Refused` for what is no body.
        """


def body_of(length: int, limits: ConnectionLimits) -> Body:
    """The body that a head announces."""
    if length == 0:
        return _EMPTY
    return ChunkedBody(limits) if length == CHUNKED else SizedBody(length)


class SizedBody:
    """A body with a length."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.is_whole = not length

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """As :class:`Body`."""
        taken, rest = (data, b"") if len(data) <= self._left else (data[: self._left], data[self._left :])
        self._left -= len(taken)
        self.is_whole = not self._left
        return taken, rest


_EMPTY = SizedBody(0)
"""The body of a request without one. It is complete, so no bytes are fed to it, and one object does for all
requests.
"""


class ChunkedBody:
    """A body in chunks."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._extensions_left = limits.extension_bytes
        self._trailers_left = limits.trailer_bytes
        self._chunk_left = 0
        self._in_chunk = False
        self._in_trailers = False
        self.is_whole = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """As :class:`Body`."""
        found: list[bytes] = []
        at = 0
        while not self.is_whole:
            if self._in_trailers:
                after = self._trailer(data, at)
            elif self._in_chunk:
                after = self._piece(data, at, found)
            else:
                after = self._size(data, at)
            if after == at:
                break
            at = after
        return b"".join(found), data[at:]

    def _size(self, data: bytes, at: int) -> int:
        end = _line_end(data, at, _SIZE_LINE + self._extensions_left)
        if end == at:
            if not _chunk_line_begins(data, at):
                raise Refused(BAD_REQUEST)
            return at
        line = _chunk_line(data, at, end)
        if line is None or line.end() != end:
            raise Refused(BAD_REQUEST)
        self._extensions_left -= len(line[2] or b"")
        if self._extensions_left < 0:
            raise Refused(BAD_REQUEST)
        self._chunk_left = int(line[1], 16)
        self._in_chunk = bool(self._chunk_left)
        self._in_trailers = not self._in_chunk
        return end

    def _piece(self, data: bytes, at: int, found: list[bytes]) -> int:
        if self._chunk_left:
            piece = data[at : at + self._chunk_left]
            self._chunk_left -= len(piece)
            found.append(piece)
            return at + len(piece)
        mark = data[at : at + 2]
        if mark != b"\r\n"[: len(mark)]:
            raise Refused(BAD_REQUEST)
        if len(mark) < 2:
            return at
        self._in_chunk = False
        return at + 2

    def _trailer(self, data: bytes, at: int) -> int:
        end = _line_end(data, at, self._trailers_left)
        self._trailers_left -= end - at
        if end == at:
            return at
        if end - at == 2 and data[at:end] == b"\r\n":
            self.is_whole = True
        elif not _trailer_line(data, at, end):
            raise Refused(BAD_REQUEST)
        return end


def _line_end(data: bytes, at: int, most: int) -> int:
    """Behind the line that begins ``at``; ``at`` while its end has not arrived.

    Raise :class:`Refused` when it is longer than ``most`` bytes or ends in a line feed alone.
    """
    end = data.find(b"\n", at, at + most)
    if end < 0:
        if len(data) - at >= most:
            raise Refused(BAD_REQUEST)
        return at
    if data[end - 1 : end] != b"\r":
        raise Refused(BAD_REQUEST)
    return end + 1
