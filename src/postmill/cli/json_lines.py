"""Payloads that are JSON text already: one argument, or a file with one on each line.

A payload goes to the database as it was written (numbers keep their digits). What is wrong with one is
said with the number of its line.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from postmill.model.errors import InvalidPayload
from postmill.model.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def checked(text: bytes, where: str) -> bytes:
    """``text`` as one line of JSON; raises :class:`InvalidPayload` that begins with ``where``."""
    try:
        return to_json(msgspec.Raw(text))
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
            text = line.strip()
            if text:
                yield msgspec.Raw(text)
            self._advance(len(line))

    @contextmanager
    def placing_errors(self) -> Iterator[None]:
        """Adds the line's number to a complaint about its payload."""
        try:
            yield
        except InvalidPayload as error:
            raise _placed(error, f"Line {self.number}") from error


def _placed(error: InvalidPayload, where: str) -> InvalidPayload:
    hint = error.hint or """In a shell, quote JSON with single quotes: '{"name": "world"}'"""
    return type(error)(f"{where}: {error.what} Nothing was sent.", why=error.why, hint=hint)
