"""Makes text that comes from elsewhere safe to show: names, payloads, errors and log values can hold what a
terminal obeys (colours, cursor, title, clipboard) or characters that make a reader see another text.

This is the one home of that rule. Pure.
"""

from __future__ import annotations

import re
from typing import Any

_CONTROLS = "\x00-\x08\x0b-\x1f"
"""ESC, BEL, CR, backspace and their like, without tab and line end."""
_OTHERS = (
    "\x7f-\x9f"  # DEL and C1, among them CSI in one character
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they turn the direction of what follows
    "\u2028\u2029"  # line ends that a reader of lines does not know
    "\ufff9-\ufffb\U000e0000-\U000e007f"  # annotations and tags, which nothing shows
    "\ud800-\udfff"  # halves of a character, which no encoding has
)
_IN_LINES = re.compile(f"[{_CONTROLS}{_OTHERS}]")
_IN_A_LINE = re.compile(f"[\t\n{_CONTROLS}{_OTHERS}]")
_IN_JSON = re.compile(f"[{_OTHERS}]")
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


BOLD, DIM, RED, GREEN, YELLOW = 1, 2, 31, 32, 33
"""Codes of styles, as terminals know them (ECMA-48, section 8.3.117)."""


def styled(text: str, style: int) -> str:
    """``text`` in a style, and what follows as before."""
    return f"\x1b[{style}m{text}\x1b[0m"


def one_line(text: str) -> str:
    """``text`` on one line: whatever a terminal would obey is shown as its escape, such as ``\\x1b``."""
    return _IN_A_LINE.sub(_escaped, text)


def lines(text: str) -> str:
    """As :func:`one_line`, with the line ends and tabs that are in it."""
    return _IN_LINES.sub(_escaped, text)


def json_text(text: str) -> str:
    """JSON that says the same, with what a terminal would obey as JSON's own escapes. Such characters stand
    in strings only; those below U+0020 are escaped in every JSON.
    """
    return _IN_JSON.sub(lambda found: _json_escaped(found[0]), text)


def encoded(value: Any) -> str:
    """``value`` as JSON, with dates in ISO 8601, and nothing in it that a terminal obeys."""
    import orjson

    try:
        text = orjson.dumps(value, default=str).decode()
    except TypeError:  # an integer beyond 64 bit, which jsonb can hold
        import json

        text = json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))
    return json_text(text)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escaped(character: str) -> str:
    units = character.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
