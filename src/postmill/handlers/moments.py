"""Says in a schema of msgspec's which texts are dates and times. Of those that may have a time zone or none,
and of those that must have none, msgspec says only that they are texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import inspect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LOCAL = {inspect.DateTimeType: "date-time-local", inspect.TimeType: "partial-time"}
_ANY = {inspect.DateTimeType: "date-time", inspect.TimeType: "time"}
"""The formats of both, without a time zone and with one or none."""


def with_moments(schema: dict[str, Any], of: Any) -> dict[str, Any]:
    """The schema of a type, with these formats in it too."""
    waiting: list[tuple[Any, Any]] = [(schema, inspect.type_info(of))]
    seen: set[str] = set()
    while waiting:
        part, info = waiting.pop()
        while isinstance(info, inspect.Metadata):
            info = info.type
        if not isinstance(part, dict) or part.get("$ref") in seen:
            continue
        if "$ref" in part:
            seen.add(part["$ref"])
            part = schema["$defs"][part["$ref"].removeprefix("#/$defs/")]
        if isinstance(info, inspect.DateTimeType | inspect.TimeType):
            part.setdefault("format", (_LOCAL if info.tz is False else _ANY)[type(info)])
        waiting.extend(_parts(part, info))
    return schema


def _parts(schema: dict[str, Any], info: Any) -> Iterator[tuple[Any, Any]]:
    """What a type consists of, each with its schema."""
    match info:
        case inspect.UnionType():
            yield from zip(_choices(schema), _in_order(info.types), strict=True)
        case inspect.TupleType():
            yield from zip(schema.get("prefixItems", ()), info.item_types, strict=True)
        case inspect.CollectionType():
            yield schema.get("items"), info.item_type
        case inspect.DictType():
            yield schema.get("additionalProperties"), info.value_type
        case _ if "properties" in schema:
            yield from ((schema["properties"][each.encode_name], each.type) for each in _fields(info))
        case _:  # as a list, in which a tag stands before the fields
            fields = reversed(list(_fields(info)))
            yield from ((each, field.type) for each, field in zip(_last_first(schema), fields, strict=False))


def _fields(info: Any) -> Iterable[inspect.Field]:
    found: Iterable[inspect.Field] = getattr(info, "fields", ())
    return found


def _last_first(schema: dict[str, Any]) -> list[Any]:
    return list(reversed(schema.get("prefixItems", [])))


def _choices(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Without those that are choices themselves."""
    for each in schema["anyOf"]:
        if "anyOf" in each:
            yield from each["anyOf"]
        else:
            yield each


def _in_order(types: Iterable[Any]) -> list[Any]:
    """As they stand in the schema: classes that have tags come after the others, and null comes last."""

    def place(info: Any) -> int:
        while isinstance(info, inspect.Metadata):
            info = info.type
        is_tagged = isinstance(info, inspect.StructType) and not info.array_like
        return 2 if isinstance(info, inspect.NoneType) else int(is_tagged)

    return sorted(types, key=place)
