"""How a payload becomes JSON text that ``jsonb`` can hold, in one place. No I/O, no queues.

JSON and ``jsonb`` disagree with Python in three ways, and each of them would lose data silently or fail far
from its cause: NaN and infinity (JSON has none; most encoders write ``null``), NUL characters (``jsonb``
refuses ``\\u0000``) and size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite

import msgspec
import orjson

from postmill.model.errors import InvalidPayload, PayloadTooLarge

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Largest payload of one message, as JSON text in UTF-8. Postgres itself holds about four times as much."""

# An escaped NUL, but not an escaped backslash that happens to stand before the letters u0000.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def to_json(value: object) -> bytes:
    """``value`` as compact JSON in UTF-8, on one line.

    Takes what JSON has, and dataclasses, msgspec Structs, pydantic models, date and time, UUID, Decimal,
    Enum, sets and bytes (base64, as msgspec writes and reads them). JSON text that exists already is passed
    through as ``msgspec.Raw``.

    Raises :class:`InvalidPayload` for anything else, for NaN, infinity and NUL characters, and
    :class:`PayloadTooLarge` above :data:`MAX_MESSAGE_BYTES`.
    """
    data = _checked_text(bytes(value)) if isinstance(value, msgspec.Raw) else _encoded(value)
    if len(data) > MAX_MESSAGE_BYTES:
        raise PayloadTooLarge(
            f"The payload is {len(data):,} bytes of JSON; a message holds at most {MAX_MESSAGE_BYTES:,}.",
            hint="Store the data elsewhere (a table, a file, an object store) and send its address.",
        )
    # Both patterns are rare in real payloads, so the exact and slower look is taken only where they occur.
    if b"\\u0000" in data and _NUL.search(data):
        raise InvalidPayload(
            "The payload contains a NUL character.",
            why="Postgres can't store \\u0000 in jsonb.",
            hint="Remove it, or send the text in an encoding without NUL, e.g. base64.",
        )
    if b"null" in data and _holds_non_finite(value):
        raise InvalidPayload(
            "The payload contains NaN or infinity.",
            why="JSON has no such numbers.",
            hint="Send None or a string in its place.",
        )
    return data


def _encoded(value: object) -> bytes:
    try:
        return orjson.dumps(value, default=_simpler)
    except TypeError as error:
        raise InvalidPayload(
            "The payload can't be written as JSON.",
            why=f"{_cause(error)}.",
            hint="Send dict with str keys, list, str, number, bool, None, or a dataclass or model of these.",
        ) from error


def _simpler(value: object) -> object:
    """One step towards what JSON has, for what orjson does not know by itself."""
    if isinstance(value, msgspec.Raw):
        return orjson.Fragment(_checked_text(bytes(value)))
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    return msgspec.to_builtins(value, enc_hook=_simpler)


def _checked_text(text: bytes) -> bytes:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
        text.decode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidPayload("The payload is not JSON.", why=f"{error}.") from error
    # Line ends in valid JSON can stand only between values, where a space means the same.
    return text.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in text or b"\r" in text else text


def _cause(error: BaseException) -> str:
    # orjson reports "Type is not JSON serializable" and keeps the reason from our own step as the cause.
    return str(error.__cause__ or error).rstrip(".")


def _holds_non_finite(value: object) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, float):
            if not isfinite(item):
                return True
        elif isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            waiting.extend(item)
        else:
            waiting.extend(_attributes(item))
    return False


def _attributes(item: object) -> list[object]:
    if isinstance(item, msgspec.Struct):
        return [getattr(item, name) for name in item.__struct_fields__]
    if is_dataclass(item) and not isinstance(item, type):
        return [getattr(item, field.name) for field in fields(item)]
    return list(vars(item).values()) if hasattr(item, "model_dump") else []
