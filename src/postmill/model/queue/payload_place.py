"""Finds the part of a payload that can't be sent, so that the error can name its key. Used only on the way to
an error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEEPEST = 300
"""The most steps down into a payload: more than any encoder accepts, so that the search also ends in a
payload that contains itself.
"""


def place_of_non_finite(value: object) -> str | None:
    """Where the first NaN or infinity stands, as Python would say it; None: there is none. Empty: it is the
    payload itself.
    """
    waiting: list[tuple[str, object]] = [("", value)]
    while waiting:
        place, item = waiting.pop()
        if isinstance(item, float):
            if not isfinite(item):
                return place
            continue
        if place.count("[") + place.count(".") < DEEPEST:
            waiting.extend((place + step, part) for step, part in _parts(item))
    return None


def place_of(value: object, is_bad: Callable[[object], bool]) -> str:
    """Where the innermost part stands that ``is_bad``, as Python would say it. Empty: the payload itself, or
    only the whole is bad.
    """
    place = ""
    for _ in range(DEEPEST):
        for step, part in _parts(value):
            if is_bad(part):
                place, value = place + step, part
                break
        else:
            return place + _bad_key(value)
    return place


def _bad_key(value: object) -> str:
    """The first key that JSON does not have."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                return f"[{key!r}] (a key of type {type(key).__name__})"
    return ""


def _parts(item: object) -> Iterator[tuple[str, object]]:
    """What an object holds directly, each with the step that leads there."""
    match item:
        case Mapping():
            yield from ((f"[{key!r}]", part) for key, part in item.items())
        case Enum():
            yield ".value", item.value
        case str() | bytes() | bytearray() | memoryview() | type():
            return
        case msgspec.Struct():
            yield from ((f".{name}", getattr(item, name)) for name in item.__struct_fields__)
        case _ if hasattr(item, "__attrs_attrs__"):
            yield from ((f".{each.name}", getattr(item, each.name, None)) for each in item.__attrs_attrs__)
        case _ if is_dataclass(item):
            yield from ((f".{field.name}", getattr(item, field.name, None)) for field in fields(item))
        case _ if hasattr(item, "model_dump"):
            yield from ((f".{name}", part) for name, part in vars(item).items())
        case Collection():
            yield from ((f"[{place}]", part) for place, part in enumerate(item))
