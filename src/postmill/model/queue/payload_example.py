"""A payload that fits a JSON Schema, for a person to begin with: the fields that are required, each with the
simplest value that is in its bounds. Pure. A text of which it can't tell what fits is empty.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any

from postmill.model.queue.pattern_example import text_for
from postmill.model.queue.payload_type import DEEPEST, choices_of, kinds_of, resolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.model.queue.payload_type import Schema

_TEXTS = {
    "date-time": "2030-01-31T14:00:00Z",
    "date-time-local": "2030-01-31T14:00:00",
    "date": "2030-01-31",
    "time": "14:00:00Z",
    "partial-time": "14:00:00",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "duration": "PT1H",
    "decimal": "0",
    "uri": "https://example.org/",
    "email": "ada@example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "ipvanyaddress": "192.0.2.1",
    "ipvanyinterface": "192.0.2.1/24",
    "ipvanynetwork": "192.0.2.0/24",
    "ipv4interface": "192.0.2.1/24",
    "ipv4network": "192.0.2.0/24",
    "ipv6interface": "2001:db8::1/64",
    "ipv6network": "2001:db8::/64",
    "json-string": "null",
}
"""A text of each format that types ask for."""
_LETTER = "A"
"""Makes a text as long as it has to be; four of them are three bytes in base64."""


def example(schema: Schema) -> Any:
    """A payload that fits, with the fields that are required."""
    return _example(schema, schema, 0)


def _example(schema: Schema, root: Schema, depth: int) -> Any:
    known = resolved(schema, root)
    for given in ("const", "default"):
        if given in known:
            return known[given]
    if known.get("examples") or known.get("enum"):
        return (known.get("examples") or known["enum"])[0]
    if choices := choices_of(known):
        return _example(choices[0], root, depth + 1)
    kind = next(iter(kinds_of(known)), "object")
    made = _MADE.get(kind)
    return _SIMPLE.get(kind) if made is None or depth > DEEPEST else made(known, root, depth)


def _text(known: Schema, _root: Schema, _depth: int) -> str:
    least = known.get("minLength", 0)
    if "pattern" in known:
        return text_for(known["pattern"], least) or ""
    return _TEXTS.get(known.get("format", "")) or _LETTER * least


def _items(known: Schema, root: Schema, depth: int) -> list[Any]:
    """As many as there have to be. Those of a set differ only where its type has two values to begin with."""
    first = known.get("prefixItems", [])
    others = known.get("items")
    wanted = known.get("minItems", 0)
    schemas = [*first, *([others if isinstance(others, dict) else {}] * max(0, wanted - len(first)))]
    return [_example(each, root, depth + 1) for each in islice(schemas, wanted)]


def _object(known: Schema, root: Schema, depth: int) -> dict[str, Any]:
    properties, others = known.get("properties", {}), known.get("additionalProperties")
    found = {
        name: _example(properties[name], root, depth + 1)
        for name in known.get("required", ())
        if name in properties
    }
    for number in range(len(found), known.get("minProperties", 0)):
        found[f"name{number + 1}"] = _example(others if isinstance(others, dict) else {}, root, depth + 1)
    return found


def _number(known: Schema, _root: Schema, _depth: int) -> float:
    """The one in the bounds that is nearest to 0, or the middle of two that are closer than 1."""
    step = known.get("multipleOf", 1)
    least, above = known.get("minimum", -math.inf), known.get("exclusiveMinimum", -math.inf)
    most, below = known.get("maximum", math.inf), known.get("exclusiveMaximum", math.inf)
    lowest = max(math.ceil(least / step) * step if least > -math.inf else least, _next(above, step))
    highest = min(math.floor(most / step) * step if most < math.inf else most, -_next(-below, step))
    if lowest > highest:
        return float(max(least, above) + min(most, below)) / 2
    found: float = min(max(0, lowest), highest)
    return found


def _next(bound: float, step: float) -> float:
    """The first multiple of the step above a bound that is no value itself."""
    return bound if math.isinf(bound) else (math.floor(bound / step) + 1) * step


_MADE: dict[str, Callable[[Schema, Schema, int], Any]] = {
    "string": _text,
    "integer": _number,
    "number": _number,
    "array": _items,
    "object": _object,
}
_SIMPLE = {"array": [], "object": {}, "string": "", "integer": 0, "number": 0, "boolean": False, "null": None}
"""Where nothing is asked of it, and where a type holds itself without an end."""
