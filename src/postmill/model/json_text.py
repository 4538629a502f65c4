"""The one way from JSON text to Python values: payloads, headers, and text given to the command line.

Numbers are exact or refused: an integer stays an integer, and a number that is too large for a float is an
error, not infinity. The same bounds hold for every decoder, so that a payload which one handler can read can
be read by every handler.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from postmill.model.errors import InvalidPayload

MAX_DEPTH = 200
"""The most arrays and objects inside each other: what the strictest of the decoders in use (pydantic's)
accepts.
"""

MAX_DIGITS = 309
"""The most digits of an integer: as many as the largest float has. ``jsonb`` writes 1e400 out in digits, so
an integer with more of them is such a number.
"""

SHORT = min(MAX_DEPTH, MAX_DIGITS)
"""A text of no more characters is within both bounds; most are."""

_TOO_LONG = re.compile(rf"(?<![.\d])\d{{{MAX_DIGITS + 1}}}")
_TOO_LONG_IN_BYTES = re.compile(rb"(?<![.\d])\d{%d}" % (MAX_DIGITS + 1))
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_BRACKET = re.compile(r"[^\[\]{}]+")
_OPENED = str.maketrans("{}", "[]")
_DECODE = msgspec.json.Decoder().decode


def loads(raw: str | bytes) -> Any:
    """The value of JSON text. Raises :class:`InvalidPayload`. Of an object's equal names the last counts, as
    in ``jsonb``.
    """
    if len(raw) > SHORT:
        check_bounds(raw)
    try:
        return _DECODE(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidPayload("The payload is not JSON that can be read.", why=f"{error}.") from error


def check_bounds(raw: str | bytes) -> None:
    """Raises :class:`InvalidPayload` for text that is nested deeper than :data:`MAX_DEPTH` or has an integer
    of more than :data:`MAX_DIGITS` digits.
    """
    if _is_deeper(raw):
        raise InvalidPayload(
            f"The payload is nested more than {MAX_DEPTH} deep.",
            why="Not every decoder can read it.",
            hint="Send a flat list with references in it.",
        )
    if _has_long_number(raw):
        raise InvalidPayload(
            f"The payload has a number of more than {MAX_DIGITS} digits.",
            why="Not every decoder can read it.",
            hint="Send it as a string.",
        )


def _has_long_number(raw: str | bytes) -> bool:
    """Strings may have as many digits as they like: they are taken out where the quick look finds some."""
    if isinstance(raw, bytes):
        return _TOO_LONG_IN_BYTES.search(raw) is not None and _has_long_number(raw.decode("utf-8", "replace"))
    if len(raw) <= MAX_DIGITS or _TOO_LONG.search(raw) is None:
        return False
    return _TOO_LONG.search(_STRING.sub('""', raw)) is not None


def _is_deeper(raw: str | bytes) -> bool:
    """Counts brackets first: few texts have as many as the bound. Of the others all but brackets is taken
    away, and then the innermost pairs, again and again.
    """
    if isinstance(raw, bytes):
        if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
            return False
        raw = raw.decode("utf-8", "replace")
    elif raw.count("[") + raw.count("{") <= MAX_DEPTH:
        return False
    brackets = _NO_BRACKET.sub("", _STRING.sub("", raw)).translate(_OPENED)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace("[]", "")
    return bool(brackets)
