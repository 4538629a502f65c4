"""What a JSON Schema says to a person who writes a payload: its fields, and where one does not fit. Pure.

It knows what schemas of Python types have: objects, lists, choices, numbers and texts, and their bounds. What
it does not know it takes to fit: the worker has the last word, and may also take more (pydantic reads "7" as
a number). The SQL function ``_misfit`` says the same of inputs and signals of flows, to programs and in fewer
words; ``tests/sql/test_input_types.py`` holds both to one answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, repeat
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.model.option_rules import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Schema: TypeAlias = "Mapping[str, Any]"
DEEPEST = 20
"""Objects inside each other that are looked into. Twenty: a type that holds itself has no end."""
_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_WORDS = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_BOUNDS: dict[str, tuple[tuple[type, ...], Callable[[Any, Any], bool], str]] = {
    "minimum": ((int, float), ge, "at least {}"),
    "maximum": ((int, float), le, "at most {}"),
    "exclusiveMinimum": ((int, float), gt, "more than {}"),
    "exclusiveMaximum": ((int, float), lt, "less than {}"),
    "minLength": ((str,), ge, "a text of at least {} characters"),
    "maxLength": ((str,), le, "a text of at most {} characters"),
    "minItems": ((list,), ge, "a list of at least {}"),
    "maxItems": ((list,), le, "a list of at most {}"),
}
"""Of each bound: which values it is about, what holds between one (or its length) and it, and in words."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a payload that is an object."""

    name: str
    kind: str
    """In words, such as "a list of a whole number"."""
    required: bool


def fields(schema: Schema) -> list[Field]:
    """The fields of a payload, those that are required first. None for a payload that is no object."""
    known = resolved(schema, schema)
    required = known.get("required", ())
    found = [
        Field(name, kind_of(each, schema), name in required)
        for name, each in known.get("properties", {}).items()
    ]
    return sorted(found, key=lambda field: not field.required)


def fault(schema: Schema, value: Any) -> str | None:
    """Where ``value`` does not fit, as a sentence; None when it fits, as far as this can tell."""
    return next(_faults(schema, value, schema, "", 0), None)


def kind_of(schema: Schema, root: Schema) -> str:
    """What a value is, in words."""
    known = resolved(schema, root)
    if choices := choices_of(known):
        return " or ".join(dict.fromkeys(kind_of(choice, root) for choice in choices))
    if "enum" in known or "const" in known:
        return "one of " + ", ".join(map(_shown, known.get("enum", [known.get("const")])))
    kinds = kinds_of(known)
    words = " or ".join(_WORDS.get(kind, kind) for kind in kinds) or "anything"
    if kinds == ["array"] and isinstance(known.get("items"), dict):
        return f"a list, each {kind_of(known['items'], root)}" if "$ref" not in known["items"] else "a list"
    if "pattern" in known:
        return f"{words} that fits {known['pattern']}"
    return f"{words}, {known['format']}" if "format" in known else words


def _faults(schema: Schema, value: Any, root: Schema, place: str, depth: int) -> Iterator[str]:
    known = resolved(schema, root)
    if depth > DEEPEST:
        return
    if choices_of(known):
        yield from _of_choices(known, value, root, place, depth)
        return
    kinds = kinds_of(known)
    if kinds and not any(_is(kind, value) for kind in kinds):
        yield _wrong(place, value, kind_of(known, root))
        return
    allowed = known.get("enum", [known["const"]] if "const" in known else None)
    if allowed is not None and not any(_is_same(value, each) for each in allowed):
        yield _wrong(place, value, kind_of(known, root))
    yield from _out_of_bounds(known, value, place)
    if isinstance(value, dict):
        yield from _of_object(known, value, root, place, depth)
    elif isinstance(value, list):
        for number, (each, its) in enumerate(zip(value, _item_schemas(known), strict=False)):
            yield from _faults(its, each, root, f"{place}[{number}]", depth + 1)


def _out_of_bounds(known: Schema, value: Any, place: str) -> Iterator[str]:
    size = len(value) if isinstance(value, str | list) else value
    for name, (kinds, holds, words) in _BOUNDS.items():
        is_about = name in known and isinstance(value, kinds) and not isinstance(value, bool)
        if is_about and not holds(size, known[name]):
            yield _wrong(place, value, words.format(known[name]))


def _item_schemas(known: Schema) -> Iterator[Schema]:
    """Those of the first items of a list, and that of all others without an end."""
    others = known.get("items")
    return chain(known.get("prefixItems", ()), repeat(others if isinstance(others, dict) else {}))


def _of_choices(known: Schema, value: Any, root: Schema, place: str, depth: int) -> Iterator[str]:
    """Of an object or a list it is told what is wrong inside of it, rather than that an object has to be an
    object.
    """
    choices = choices_of(known)
    found = [next(_faults(each, value, root, place, depth + 1), None) for each in choices]
    near = [said for each, said in zip(choices, found, strict=True) if said and _may_be(each, value, root)]
    if None in found:
        return
    if not isinstance(value, dict | list) or not near:
        yield _wrong(place, value, kind_of(known, root))
    elif len(near) == 1:
        yield near[0]
    else:
        yield f"{_subject(place)} is {_shown(value)}, and none of the {len(near)} that it may be. {near[0]}"


def _may_be(schema: Schema, value: Any, root: Schema) -> bool:
    """Whether the value is of a kind that the schema has, whatever is inside of it."""
    known = resolved(schema, root)
    if choices := choices_of(known):
        return any(_may_be(each, value, root) for each in choices)
    kinds = kinds_of(known)
    return not kinds or any(_is(kind, value) for kind in kinds)


def _of_object(known: Schema, value: dict[str, Any], root: Schema, place: str, depth: int) -> Iterator[str]:
    properties = known.get("properties", {})
    unknown = [name for name in value if name not in properties]
    for name in known.get("required", ()):
        if name not in value:
            near = [each for each in unknown if did_you_mean(each, [name])]
            said = f" Is {near[0]} meant for it?" if near else ""
            yield f"The field {_below(place, name)} is missing.{said}"
    if known.get("additionalProperties") is False and unknown:
        near_name = did_you_mean(unknown[0], properties)
        yield f"The field {_below(place, unknown[0])} is not known. {near_name}".strip()
    others = known.get("additionalProperties")
    for name, each in value.items():
        its = properties.get(name, others)
        if isinstance(its, dict):
            yield from _faults(its, each, root, _below(place, name), depth + 1)


def resolved(schema: Schema, root: Schema) -> Schema:
    """What a reference stands for: schemas of types refer to places of the whole one."""
    for _ in range(DEEPEST):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        found: Any = root
        for step in reference.removeprefix("#/").split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {})
        schema = found
    return {}


def choices_of(known: Schema) -> list[Schema]:
    """The schemas of which one has to fit."""
    found: list[Schema] = known.get("anyOf") or known.get("oneOf") or []
    return found


def kinds_of(known: Schema) -> list[str]:
    """The types that a value may have; none: any."""
    kind = known.get("type")
    return [kind] if isinstance(kind, str) else list(kind or ())


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _KINDS.get(kind, (object,)))


def _is_same(value: Any, other: Any) -> bool:
    """As JSON has it: ``true`` is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _wrong(place: str, value: Any, wanted: str) -> str:
    return f"{_subject(place)} is {_shown(value)}, and has to be {wanted}."


def _subject(place: str) -> str:
    return f"The field {place}" if place else "The payload"


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return _WORDS["object" if isinstance(value, dict) else "array"]
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value!r}" if isinstance(value, str) else str(value)
