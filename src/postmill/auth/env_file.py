"""Reads ``.env`` files: ``functions/.env`` holds the secrets of development."""

from __future__ import annotations

import re

from postmill.auth.secret_store import check
from postmill.model.errors import InvalidOption

_LINE = re.compile(r"(?:export\s+)?(?P<name>[^\s=]+)\s*=\s*(?P<value>.*)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def parse(text: str, source: str) -> dict[str, str]:
    """The variables of a ``.env`` file: ``NAME=value`` lines, ``#`` comments, quotes, an ``export`` in front.

    A quoted value may span lines, and in double quotes a backslash escapes. Nothing is expanded. Raises
    :class:`InvalidOption` naming ``source`` and the line.
    """
    found: dict[str, str] = {}
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise InvalidOption(f"{source}, line {number}, is not NAME=value.")
        value = match["value"]
        while value[:1] in {'"', "'"} and _closing(value) < 0:
            following = next(lines, None)
            if following is None:
                raise InvalidOption(f"{source}, line {number}: the quote is never closed.")
            value += "\n" + following[1]
        check(match["name"], "")
        found[match["name"]] = _unquoted(value)
    return found


def _closing(value: str) -> int:
    """Where the quote that begins ``value`` ends; -1 when it does not."""
    position = 1
    while position < len(value):
        if value[position] == "\\" and value[0] == '"':
            position += 1
        elif value[position] == value[0]:
            return position
        position += 1
    return -1


def _unquoted(value: str) -> str:
    if value[:1] == "'":
        return value[1 : _closing(value)]
    if value[:1] == '"':
        inner = value[1 : _closing(value)]
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), inner, flags=re.DOTALL)
    return re.sub(r"\s+#.*", "", value).strip()
