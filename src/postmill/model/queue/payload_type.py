"""What a JSON Schema says to a person who writes a payload: its fields, an example, and where one does not
fit. Pure.

It knows what schemas of Python types have: objects, lists, choices, numbers and texts. What it does not know
it takes to fit: the worker has the last word, and may also take more (pydantic reads "7" as a number).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.model.option_rules import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
_EXAMPLES = {"object": {}, "array": [], "string": "", "integer": 0, "number": 0, "boolean": False}
_TEXTS = {
    "date-time": "2030-01-31T14:00:00Z",
    "date": "2030-01-31",
    "time": "14:00:00Z",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "duration": "PT1H",
    "decimal": "0",
}
"""A text of each format that types ask for."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a payload that is an object."""

    name: str
    kind: str
    """In words, such as "a list of a whole number"."""
    required: bool


def fields(schema: Schema) -> list[Field]:
    """The fields of a payload, those that are required first. None for a payload that is no object."""
    known = _resolved(schema, schema)
    required = known.get("required", ())
    found = [
        Field(name, kind_of(each, schema), name in required)
        for name, each in known.get("properties", {}).items()
    ]
    return sorted(found, key=lambda field: not field.required)


def example(schema: Schema) -> Any:
    """A payload that fits, with the fields that are required."""
    return _example(schema, schema, 0)


def fault(schema: Schema, value: Any) -> str | None:
    """Where ``value`` does not fit, as a sentence; None when it fits, as far as this can tell."""
    return next(_faults(schema, value, schema, "", 0), None)


def kind_of(schema: Schema, root: Schema) -> str:
    """What a value is, in words."""
    known = _resolved(schema, root)
    if choices := _choices(known):
        return " or ".join(dict.fromkeys(kind_of(choice, root) for choice in choices))
    if "enum" in known or "const" in known:
        return "one of " + ", ".join(map(_shown, known.get("enum", [known.get("const")])))
    kinds = _kinds(known)
    words = " or ".join(_WORDS.get(kind, kind) for kind in kinds) or "anything"
    if kinds == ["array"] and isinstance(known.get("items"), dict):
        return f"a list, each {kind_of(known['items'], root)}" if "$ref" not in known["items"] else "a list"
    return f"{words}, {known['format']}" if "format" in known else words


def _faults(schema: Schema, value: Any, root: Schema, place: str, depth: int) -> Iterator[str]:
    known = _resolved(schema, root)
    if depth > DEEPEST:
        return
    if _choices(known):
        yield from _of_choices(known, value, root, place, depth)
        return
    kinds = _kinds(known)
    if kinds and not any(_is(kind, value) for kind in kinds):
        yield _wrong(place, value, kind_of(known, root))
        return
    allowed = known.get("enum", [known["const"]] if "const" in known else None)
    if allowed is not None and value not in allowed:
        yield _wrong(place, value, kind_of(known, root))
    if isinstance(value, dict):
        yield from _of_object(known, value, root, place, depth)
    elif isinstance(value, list) and isinstance(known.get("items"), dict):
        for number, each in enumerate(value):
            yield from _faults(known["items"], each, root, f"{place}[{number}]", depth + 1)


def _of_choices(known: Schema, value: Any, root: Schema, place: str, depth: int) -> Iterator[str]:
    """Of an object or a list it is told what is wrong inside of it, rather than that an object has to be an
    object.
    """
    choices = _choices(known)
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
    known = _resolved(schema, root)
    if choices := _choices(known):
        return any(_may_be(each, value, root) for each in choices)
    kinds = _kinds(known)
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
    for name, each in properties.items():
        if name in value:
            yield from _faults(each, value[name], root, _below(place, name), depth + 1)


def _example(schema: Schema, root: Schema, depth: int) -> Any:
    known = _resolved(schema, root)
    for given in ("const", "default"):
        if given in known:
            return known[given]
    if known.get("examples") or known.get("enum"):
        return (known.get("examples") or known["enum"])[0]
    if choices := _choices(known):
        return _example(choices[0], root, depth + 1)
    kind = next(iter(_kinds(known)), "object")
    if kind == "string":
        return _TEXTS.get(known.get("format", ""), "")
    if kind != "object" or depth > DEEPEST:
        above = known.get("exclusiveMinimum")
        return known.get("minimum", _EXAMPLES.get(kind)) if above is None else above + 1
    properties = known.get("properties", {})
    return {
        name: _example(properties[name], root, depth + 1)
        for name in known.get("required", ())
        if name in properties
    }


def _resolved(schema: Schema, root: Schema) -> Schema:
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


def _choices(known: Schema) -> list[Schema]:
    found: list[Schema] = known.get("anyOf") or known.get("oneOf") or []
    return found


def _kinds(known: Schema) -> list[str]:
    kind = known.get("type")
    return [kind] if isinstance(kind, str) else list(kind or ())


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _KINDS.get(kind, (object,)))


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
