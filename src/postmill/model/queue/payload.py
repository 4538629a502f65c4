"""Payloads as JSON text, both ways, in one place: what is sent, what is read, and what the command line is
given. No I/O, no queues.

JSON and ``jsonb`` disagree with Python in three ways, and each of them would lose data silently or fail far
from its cause: NaN and infinity (JSON has none; most encoders write ``null``), NUL characters (``jsonb``
refuses ``\\u0000``) and size.

Numbers are exact or refused: an integer stays an integer, and a number that is too large for a float is an
error, not infinity. The same bounds hold for every decoder, so that a payload which one handler can read can
be read by every handler.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from postmill.model.errors import InvalidPayload, PayloadTooLarge
from postmill.model.queue.payload_place import place_of, place_of_non_finite

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The largest payload of one message, as JSON text in UTF-8. 64 MiB: Postgres itself holds about four times
as much, and a worker needs several times the size to decode it.
"""

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

# An escaped NUL, but not an escaped backslash that happens to stand before the letters u0000.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

_TOO_LONG = re.compile(rf"(?<![.\d])\d{{{MAX_DIGITS + 1}}}")
_TOO_LONG_IN_BYTES = re.compile(rb"(?<![.\d])\d{%d}" % (MAX_DIGITS + 1))
"""The same in bytes: one digit more than ``MAX_DIGITS``, and not behind a decimal point."""
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
"""A text in JSON. Written so that what is no escape is taken in one piece: character by character a text of
64 MiB held the event loop for 5 s, this way for 0.3 s.
"""
_NO_BRACKET = re.compile(r"[^\[\]{}]+")
_OPENED = str.maketrans("{}", "[]")
_DECODE = msgspec.json.Decoder().decode


def to_json(value: object, called: str = "payload") -> bytes:
    """``value`` as compact JSON in UTF-8, on one line.

    Takes what JSON has, and dataclasses, msgspec Structs, pydantic models, date and time, UUID, Decimal,
    Enum, sets and bytes (base64, as msgspec writes and reads them). JSON text that exists already is passed
    through as ``msgspec.Raw``: its numbers keep their digits. ``called``: what it is to the reader of an
    error.

    Raises :class:`InvalidPayload` for anything else, for NaN, infinity, NUL characters, integers beyond
    64 bit, numbers in text that no float holds, and nesting that not every decoder can read, and
    :class:`PayloadTooLarge` above :data:`MAX_MESSAGE_BYTES`.
    """
    data = _checked_text(bytes(value), called) if isinstance(value, msgspec.Raw) else _encoded(value, called)
    if len(data) > MAX_MESSAGE_BYTES:
        raise PayloadTooLarge(
            f"The {called} is {len(data):,} bytes of JSON; a message holds at most {MAX_MESSAGE_BYTES:,}.",
            hint="Store the data elsewhere (a table, a file, an object store) and send its address.",
        )
    _check_storable(data, value, called)
    return data


def result_to_json(value: object) -> str:
    """What a handler returned, as JSON text that ``jsonb`` can hold. Takes what JSON has, with keys that are
    numbers as well. Raises :class:`InvalidPayload`.
    """
    try:
        data = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise _not_json(value, error, orjson.OPT_NON_STR_KEYS, "result") from error
    _check_storable(data, value, "result")
    return data.decode()


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


def check_bounds(raw: str | bytes, called: str = "payload") -> None:
    """Raises :class:`InvalidPayload` for text that is nested deeper than :data:`MAX_DEPTH` or has an integer
    of more than :data:`MAX_DIGITS` digits.
    """
    if _is_deeper(raw):
        raise InvalidPayload(
            f"The {called} is nested more than {MAX_DEPTH} deep.",
            why="Not every decoder can read it.",
            hint="Send a flat list with references in it.",
        )
    if _has_long_number(raw):
        raise InvalidPayload(
            f"The {called} has a number of more than {MAX_DIGITS} digits.",
            why="Not every decoder can read it.",
            hint="Send it as a string.",
        )


def _check_storable(data: bytes, value: object, called: str) -> None:
    """Refuse what JSON text can't say, ``jsonb`` can't hold or a decoder can't read, though the encoder took
    it.
    """
    check_bounds(data, called)
    # Both patterns are rare in real payloads, so the exact and slower look is taken only where they occur.
    if b"\\u0000" in data and _NUL.search(data):
        raise InvalidPayload(
            f"The {called} contains a NUL character.",
            why="Postgres can't store \\u0000 in jsonb.",
            hint="Remove it, or send the text in an encoding without NUL, e.g. base64.",
        )
    if b"null" in data and (place := place_of_non_finite(value)) is not None:
        raise InvalidPayload(
            f"The {called} contains NaN or infinity.",
            why=f"JSON has no such numbers{_at(place)}.",
            hint="Send None or a string in its place.",
        )


def _encoded(value: object, called: str) -> bytes:
    try:
        return orjson.dumps(value, default=_simpler)
    except TypeError as error:
        raise _not_json(value, error, 0, called) from error


def _not_json(value: object, error: TypeError, option: int, called: str) -> InvalidPayload:
    default = None if option else _simpler
    place = place_of(value, lambda part: not _is_json(part, option, default))
    return InvalidPayload(
        f"The {called} can't be written as JSON.",
        why=f"{_cause(error)}{_at(place)}.",
        hint="Send dict with str keys, list, str, number, bool, None, or a dataclass or model of these.",
    )


def _is_json(part: object, option: int, default: Callable[[object], object] | None) -> bool:
    try:
        orjson.dumps(part, default=default, option=option)
    except TypeError:
        return False
    return True


def _at(place: str | None) -> str:
    return f", at {place}" if place else ""


def _simpler(value: object) -> object:
    """One step towards what JSON has, for what orjson does not know by itself."""
    if isinstance(value, msgspec.Raw) or hasattr(value, "model_dump"):
        return _dumped(value)
    return msgspec.to_builtins(value, enc_hook=_dumped)


def _dumped(value: object) -> object:
    """The same for what msgspec does not know either."""
    if isinstance(value, msgspec.Raw):
        return orjson.Fragment(_checked_text(bytes(value), "part of it"))
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"JSON has nothing for the type {type(value).__name__}")
    return dump(mode="json")


def _checked_text(text: bytes, called: str) -> bytes:
    try:
        _DECODE(text)
        text.decode()
    except msgspec.ValidationError as error:  # a text without a type has nothing else that could be invalid
        raise InvalidPayload(
            f"The {called} has a number that is too large for a float.",
            why="A worker would read infinity, which JSON does not have, or nothing at all.",
            hint="Send it as a string.",
        ) from error
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidPayload(f"The {called} is not JSON.", why=f"{error}.") from error
    # Line ends in valid JSON can stand only between values, where a space means the same.
    return text.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in text or b"\r" in text else text


def _cause(error: BaseException) -> str:
    # orjson reports "Type is not JSON serializable" and keeps the reason from our own step as the cause.
    return str(error.__cause__ or error).rstrip(".")


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
