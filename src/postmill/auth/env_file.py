"""Reads ``.env`` files: ``functions/.env`` holds the secrets of development.

python-dotenv reads the lines; this module says which names and values functions can have, and where in the
file one stands that they can't.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dotenv.parser import parse_stream

from postmill.auth.secret_store import check
from postmill.model.errors import InvalidOption, NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from dotenv.parser import Binding

SKIPPED = "SUPABASE_"
"""The host sets variables of these names itself. In a file that was written for another platform they are
left out, with a warning.
"""

PIPE_S = 2.0
"""How long a pipe may take to give its content, in seconds. 2 s: a password manager that writes the pipe
needs a moment, and the start of a function that waits for it has 10 s.
"""
_PIECE = 64 * 1024
"""Bytes in one read. 64 KiB is the capacity of a pipe on Linux (see pipe(7)): one read empties it."""


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What a file holds. Its ``repr`` is a secret."""

    values: dict[str, str]
    skipped: tuple[str, ...]
    """The names that were left out."""


def read(path: Path) -> EnvFile:
    """The variables of a file, or of a pipe that another program writes within ``PIPE_S``. Raises
    :class:`NotFound` when it can't be read, and as :func:`parse`.
    """
    try:
        content = _piped(path) if path.is_fifo() else path.read_bytes()
    except TimeoutError as error:
        raise NotFound(
            f"{path} can't be read.",
            why=f"It is a pipe, and no program has written and closed it within {PIPE_S:g} s.",
        ) from error
    except OSError as error:
        raise NotFound(f"{path} can't be read.", why=f"{error.strerror}.") from error
    return parse_all(_decoded(content, str(path)), str(path))


def parse(text: str, source: str) -> dict[str, str]:
    """The variables of a ``.env`` file: ``NAME=value`` lines, ``#`` comments, quotes, an ``export`` in front.

    A quoted value may span lines, and in quotes a backslash escapes. Nothing is expanded. Raises
    :class:`InvalidOption` naming ``source`` and the line.
    """
    return parse_all(text, source).values


def parse_all(text: str, source: str) -> EnvFile:
    """As :func:`parse`, with the names that were left out."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    values: dict[str, str] = {}
    skipped: list[str] = []
    for binding in parse_stream(io.StringIO(lines)):
        if binding.key is not None and binding.key.startswith(SKIPPED):
            skipped.append(binding.key)
        elif binding.key is not None or binding.error:
            name, value = _variable(binding, source)
            values[name] = value
    return EnvFile(values, tuple(dict.fromkeys(skipped)))


def _piped(path: Path) -> bytes:
    """All that is written to a pipe. Opening it does not wait for a writer, and an empty read before the
    first writer is not the end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    content, until = b"", time.monotonic() + PIPE_S
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    try:
        while poller.poll(max(0.0, until - time.monotonic()) * 1000):
            try:
                while piece := os.read(descriptor, _PIECE):
                    content += piece
            except BlockingIOError:  # its writer has more to say
                continue
            return content
    finally:
        os.close(descriptor)
    raise TimeoutError


def _variable(binding: Binding, source: str) -> tuple[str, str]:
    place = f"{source}, line {_line_of(binding)}"
    if binding.key is None or binding.value is None or binding.error:
        quoted = any(quote in binding.original.string for quote in "'\"")
        raise InvalidOption(
            f"{place}, is not NAME=value.",
            why="A quote is not closed, or something follows the closing one." if quoted else "",
        )
    try:
        check(binding.key, binding.value)
    except InvalidOption as error:
        raise InvalidOption(f"{place}: {error.what}", why=error.why, hint=error.hint) from error
    return binding.key, binding.value


def _line_of(binding: Binding) -> int:
    """The line on which it begins: the empty lines before it count as part of it."""
    text = binding.original.string
    return int(binding.original.line) + text[: len(text) - len(text.lstrip())].count("\n")


def _decoded(content: bytes, source: str) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidOption(f"{source} is in UTF-16.", why="Only UTF-8 is read.", hint="Save it as UTF-8.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InvalidOption(
            f"{source}, line {line}, is not UTF-8.", hint="Save the file as UTF-8; bytes can be base64."
        ) from error
