"""From a message's JSON to a pydantic model, where pydantic's own reading of numbers is not exact."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import is_dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from postmill.model.errors import InvalidPayload
from postmill.model.queue.payload import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FLOAT_LENGTH = 16
"""A number of more characters may be more exact than a float: 15 digits are always kept, and a point."""
_LONG_NUMBER = re.compile(rf"\d[\d.]{{{_FLOAT_LENGTH}}}")
_FRACTION = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|(?P<whole>-?\d+)\.(?P<rest>\d+)', re.DOTALL)
"""A number with a point, as jsonb writes it; or a string, so that none is looked for in it."""


def pydantic_validator(payload_type: Any) -> Callable[[str], Any] | None:
    """What makes the values of a type out of JSON, where pydantic has to: the type is a model, or has one in
    it, as ``list[Model]``, ``Model | None`` and a dataclass with a model have.
    """
    validate: Callable[[str], Any] | None = getattr(payload_type, "model_validate_json", None)
    if validate is None and _holds_model(payload_type, frozenset()):
        from pydantic import TypeAdapter  # noqa: PLC0415 - only where a model is, so pydantic is here

        return TypeAdapter(payload_type).validate_json
    return validate


def _holds_model(annotation: Any, seen: frozenset[Any]) -> bool:
    """Whether a model stands in it. ``seen``: the dataclasses round it, which may hold themselves."""
    if hasattr(annotation, "model_validate_json"):
        return True
    parts = list(get_args(annotation))
    owner = get_origin(annotation) or annotation
    if is_dataclass(owner) and owner not in seen:
        seen |= {owner}
        with suppress(NameError):  # a type that only a type checker sees
            parts += get_type_hints(owner).values()
    return any(_holds_model(part, seen) for part in parts)


def pydantic_decoder(validate: Callable[[str], Any]) -> Callable[[str], Any]:
    """Decodes payloads by a model's ``validate``. What it raises is ``InvalidPayload``."""

    def checked(raw: str) -> Any:
        loads(raw)  # pydantic's own parser makes infinity of 1e400, and takes NaN
        rounded: set[Decimal] = set()
        if "." in raw and _LONG_NUMBER.search(raw):
            raw = _FRACTION.sub(_integer, raw)
            rounded = set(_rounded(raw))
        try:
            payload = validate(raw)
        except ValueError as error:  # pydantic's ValidationError is one
            raise InvalidPayload(_told_by_pydantic(error)) from error
        if rounded and not rounded.isdisjoint(_decimals(payload)):
            raise InvalidPayload(
                "a Decimal has more digits than pydantic reads of a number", hint="Send it as a string."
            )
        return payload

    return checked


def _integer(number: re.Match[str]) -> str:
    """A whole number beyond what a float holds, without its point: pydantic reads one with a point as a
    float, also for an ``int``.
    """
    whole, rest = number["whole"], number["rest"]
    is_long = rest is not None and len(whole) >= _FLOAT_LENGTH and not rest.strip("0")
    return whole if is_long else number[0]


def _rounded(raw: str) -> Iterator[Decimal]:
    """What pydantic makes of numbers that have more digits than a float, where it should be a Decimal."""
    for number in _FRACTION.finditer(raw):
        if number["whole"] is not None and len(number[0]) > _FLOAT_LENGTH:
            read = Decimal(repr(float(number[0])))
            if read != Decimal(number[0]):
                yield read


def _decimals(value: Any) -> Iterator[Decimal]:
    """Every Decimal in a model, and in the models and collections in it."""
    if isinstance(value, Decimal):
        yield value
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _decimals(part)
    else:
        parts = value if isinstance(value, dict) else getattr(value, "__dict__", {})
        for part in parts.values():
            yield from _decimals(part)


def _told_by_pydantic(error: ValueError) -> str:
    """``cents: should be greater than 0``, one clause a field."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return str(error)
    clauses = []
    for found in errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(map(str, found["loc"]))
        said = found["msg"].removeprefix("Input ")
        clauses.append(f"{place}: {said}" if place else said)
    return "; ".join(clauses)
