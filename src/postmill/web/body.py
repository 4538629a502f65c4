"""Where the body of a request ends (RFC 9112, sections 6.2 and 7.1).

Strict: a body that is not framed exactly so is no body. Trailers and chunk extensions are counted and
dropped: they reach no application.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from postmill.web.refusal import BAD_REQUEST, Refused
from postmill.web.request_head import CHUNKED

if TYPE_CHECKING:
    from postmill.web.limits import ConnectionLimits

_chunk_line_begins = re.compile(rb"(?:[0-9A-Fa-f]{1,16}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?)?").fullmatch
_chunk_line = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t\x20-\x7e\x80-\xff]*)?\r\n").match
_trailer_line = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n").match
_SIZE_LINE = 18
"""Bytes of a chunk's line without extensions: at most 16 digits, and the end of the line."""


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
"""It is whole, so nothing is fed to it: one does for all requests."""


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
