"""Payloads that are JSON text already: one argument, or a file with one on each line.

A payload goes to the database as it was written (numbers keep their digits). An error names the number of the
line.
"""

from __future__ import annotations

import codecs
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from postmill.model.errors import InvalidPayload
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def checked(text: bytes, where: str, called: str = "payload") -> bytes:
    """``text`` as one line of JSON; raises :class:`InvalidPayload` that begins with ``where``.

    ``where`` is empty for the one payload of a command. ``called``: what the text is to its user.
    """
    try:
        return to_json(msgspec.Raw(text), called)
    except InvalidPayload as error:
        raise _placed(error, where) from error


class JsonLines:
    """The payloads of a file, one a line; empty lines are skipped. Remembers which line is being sent."""

    def __init__(self, lines: Iterable[bytes], advance: Callable[[int], None]) -> None:
        self._lines = lines
        self._advance = advance
        self.number = 0

    def __iter__(self) -> Iterator[msgspec.Raw]:
        for self.number, line in enumerate(self._lines, 1):  # noqa: B020 - the loop's variable is the position
            text = (_without_mark(line) if self.number == 1 else line).strip()
            if text:
                yield msgspec.Raw(text)
            self._advance(len(line))

    @contextmanager
    def placing_errors(self) -> Iterator[None]:
        """Adds the line's number to an error about its payload."""
        try:
            yield
        except InvalidPayload as error:
            raise _placed(error, f"Line {self.number}") from error


def _without_mark(line: bytes) -> bytes:
    """The first line without the byte order mark that some editors begin a file with."""
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidPayload(
            "This is UTF-16.", why="JSON lines are UTF-8.", hint="Convert it: iconv -f UTF-16 -t UTF-8"
        )
    return line.removeprefix(codecs.BOM_UTF8)


def _placed(error: InvalidPayload, where: str) -> InvalidPayload:
    hint = error.hint or """In a shell, quote JSON with single quotes: '{"name": "world"}'"""
    place = f"{where}: " if where else ""
    return type(error)(f"{place}{error.what} Nothing was sent.", why=error.why, hint=hint)
