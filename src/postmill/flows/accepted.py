"""What the database is told of a type: a JSON Schema, by which it refuses values that no program could take.

It says less than the type does, and never more: what a program takes is not refused.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from postmill.handlers.pydantic_payload import pydantic_validator

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_RULES = frozenset(
    {
        "$ref",
        "type",
        "enum",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "prefixItems",
        "anyOf",
        "$defs",
    }
)
"""What the SQL function ``_misfit`` looks at. Other words would say nothing to it."""


_PLAIN = (inspect.AnyType(), inspect.StrType(), inspect.IntType(), inspect.BoolType())
"""Items of lists of which ``_misfit`` looks at all, however many they are."""


def accepted(annotation: Any) -> dict[str, Any] | None:
    """The values of a type; None where only a program can tell."""
    if annotation is None or pydantic_validator(annotation) is not None:
        return None
    try:
        schema = msgspec.json.schema(annotation, schema_hook=_anything)
    except TypeError:  # a default that is no JSON, for example
        return None
    return _told(schema) or None


def is_checked_by_program(annotation: Any) -> bool:
    """Whether the database takes values that do not fit: only a program can tell them from others."""
    if annotation in (None, Any, object):
        return False
    return accepted(annotation) is None or not _is_told_whole(inspect.type_info(annotation), frozenset())


def _is_told_whole(kind: inspect.Type, seen: frozenset[type]) -> bool:
    """Whether ``_misfit`` refuses whatever a program refuses of this type. ``seen``: the classes round it,
    which may hold themselves. What is not named here is taken for what only a program can tell.
    """
    match kind:
        case inspect.StrType(pattern=None) | inspect.IntType(multiple_of=None) | inspect.BoolType():
            return True
        case inspect.AnyType() | inspect.NoneType():
            return True
        case inspect.UnionType():
            return all(_is_told_whole(each, seen) for each in kind.types)
        case inspect.ListType() | inspect.VarTupleType():
            return kind.item_type in _PLAIN  # of others the first thousand are looked at
        case (
            inspect.StructType(array_like=False, tag=None) | inspect.DataclassType() | inspect.TypedDictType()
        ):
            return kind.cls in seen or _are_fields_told(kind, seen | {kind.cls})
    return False


def _are_fields_told(
    kind: inspect.StructType | inspect.DataclassType | inspect.TypedDictType, seen: frozenset[type]
) -> bool:
    if isinstance(kind, inspect.DataclassType) and not is_dataclass(kind.cls):
        return False  # of attrs, which has checks of its own
    if hasattr(kind.cls, "__post_init__"):
        return False
    return all(_is_told_whole(field.type, seen) for field in kind.fields)


def rules_of_start(accepts: dict[str, Any] | None, deadline_s: float | None, **more: Any) -> dict[str, Any]:
    """What the database is told of the starts of a flow, without what says nothing."""
    rules = {"accepts": accepts, "deadline_s": deadline_s, **more}
    return {name: rule for name, rule in rules.items() if rule is not None}


def accepted_arguments(annotations: Mapping[str, Any], required: Iterable[str]) -> dict[str, Any]:
    """The objects that hold arguments by parameter, and nothing beside them."""
    known = {name: kind for name, kind in annotations.items() if accepted(kind) is not None}
    schemas, parts = msgspec.json.schema_components(
        known.values(), schema_hook=_anything, ref_template="#/$defs/{name}"
    )
    told = {name: _told(schema) for name, schema in zip(known, schemas, strict=True)}
    return {
        "type": "object",
        "properties": {name: told.get(name, {}) for name in annotations},
        "required": list(required),
        "additionalProperties": False,
        "$defs": {name: _told(part) for name, part in parts.items()},
    }


def _anything(_kind: type) -> dict[str, Any]:
    """The schema of a class that msgspec does not know: of ``object``."""
    return {}


def _told(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without what says less than msgspec takes: a decimal may be a number too, equal items of a
    set count once, the tag of a class that stands alone may be missing.
    """
    if schema.get("format") == "decimal":
        return {}
    told = {word: _rule(word, rule) for word, rule in schema.items() if word in _RULES}
    if schema.get("uniqueItems"):
        told.pop("maxItems", None)
    if "required" in schema:
        fields = schema["properties"]
        told["required"] = [name for name in schema["required"] if len(fields[name].get("enum", "")) != 1]
    return told


def _rule(word: str, rule: Any) -> Any:
    if word in {"properties", "$defs"}:
        return {name: _told(each) for name, each in rule.items()}
    if word in {"anyOf", "prefixItems"}:
        return [_told(each) for each in rule]
    return _told(rule) if word in {"items", "additionalProperties"} and isinstance(rule, dict) else rule
