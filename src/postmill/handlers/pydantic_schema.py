"""Gives the schema of a pydantic model examples, where pydantic takes only some of the texts that a format
has: moments with or without a time zone, in the past, or between bounds; addresses of some schemes.
"""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import SchemaValidator, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

Found: TypeAlias = "dict[str, Any]"
Core: TypeAlias = Any
"""A schema as pydantic-core has it: what a value must be, without the functions of a user's model."""


class SchemaWithExamples(GenerateJsonSchema):
    """What ``model_json_schema`` takes as its ``schema_generator``."""

    def datetime_schema(self, schema: Core) -> Found:
        return _with_example(super().datetime_schema(schema), schema, _moments(schema))

    def date_schema(self, schema: Core) -> Found:
        return _with_example(super().date_schema(schema), schema, _days(schema))

    def time_schema(self, schema: Core) -> Found:
        return _with_example(super().time_schema(schema), schema, _times(schema))

    def timedelta_schema(self, schema: Core) -> Found:
        return _with_example(super().timedelta_schema(schema), schema, _spans(schema))

    def uuid_schema(self, schema: Core) -> Found:
        return _with_example(super().uuid_schema(schema), schema, _uuids())

    def url_schema(self, schema: Core) -> Found:
        return _with_example(super().url_schema(schema), schema, _addresses(schema))

    def multi_host_url_schema(self, schema: Core) -> Found:
        return _with_example(super().multi_host_url_schema(schema), schema, _addresses(schema))


def _with_example(found: Found, schema: Core, texts: Iterator[str]) -> Found:
    """The first of the texts that pydantic takes; where it takes none, an empty one for a person to fill."""
    if found.get("type") != "string":
        return found
    return {"examples": [next((each for each in texts if _takes(schema, each)), "")], **found}


def _takes(schema: Core, text: str) -> bool:
    try:
        SchemaValidator(schema).validate_json(json.dumps(text))
    except ValidationError:
        return False
    return True


def _moments(schema: Core) -> Iterator[str]:
    """Now, long ago, in a long time, and beside each bound."""
    years = [datetime(year, 1, 31, 14) for year in (2030, 2000, 2999)]  # noqa: DTZ001 - the zone is written below
    for at in (*years, *_beside_bounds(schema, timedelta(days=1))):
        yield at.isoformat() + ("" if at.tzinfo else "Z")
        yield at.isoformat()


def _days(schema: Core) -> Iterator[str]:
    days = [date(year, 1, 31) for year in (2030, 2000, 2999)]
    yield from (each.isoformat() for each in (*days, *_beside_bounds(schema, timedelta(days=1))))


def _times(schema: Core) -> Iterator[str]:
    for at in (time(14), time(0), time(23, 59, 59), *_beside_bounds(schema, None)):
        yield at.isoformat() + ("" if at.tzinfo else "Z")
        yield at.isoformat()


def _spans(schema: Core) -> Iterator[str]:
    yield from ("PT1H", "PT0S", "P400D", "-PT1H")
    yield from (f"PT{each.total_seconds():f}S" for each in _beside_bounds(schema, timedelta(seconds=1)))


def _beside_bounds(schema: Core, step: timedelta | None) -> Iterator[Any]:
    yield from (schema[name] for name in ("ge", "le") if name in schema)
    if step is not None:
        yield from (schema[name] + step * way for name, way in (("gt", 1), ("lt", -1)) if name in schema)


def _addresses(schema: Core) -> Iterator[str]:
    for scheme in ("https", *schema.get("allowed_schemes", ())):
        yield from (f"{scheme}://example.org/", f"{scheme}://example.org/name", f"{scheme}:///name")


def _uuids() -> Iterator[str]:
    yield "00000000-0000-0000-0000-000000000000"
    yield from (f"00000000-0000-{version}000-8000-000000000000" for version in range(1, 9))
