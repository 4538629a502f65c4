"""What the payloads of a worker look like, as JSON Schema: for people who send by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.client.sending import Statement
from postmill.handlers.moments import with_moments
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 64 * 1024
"""A longer schema is left out. 64 KiB: a form of it would be read by no person, and each start sends it."""


def schema_of(payload_type: Any) -> dict[str, Any] | None:
    """The schema of what a handler's annotation takes; None for anything at all, and where none can be made:
    a type may be decoded all the same.
    """
    if payload_type in (Any, object, None):
        return None
    try:
        found = _made(payload_type)
    except Exception:  # a user's type may raise what it likes, and a hint for people stops no worker
        return None
    return found if len(json.dumps(found)) <= MOST_BYTES else None


def declaration(queue: str, worker: str, types: Mapping[str, Any]) -> Statement:
    """What tells the database the payload types of a worker, by task."""
    schemas = {task: schema for task, payload_type in types.items() if (schema := schema_of(payload_type))}
    return Statement(statement("payload_types_declare"), (queue, worker, json.dumps(schemas)), queue)


def _made(payload_type: Any) -> dict[str, Any]:
    of_model = getattr(payload_type, "model_json_schema", None)
    if of_model is not None:
        found: dict[str, Any] = of_model(schema_generator=_with_examples())
        return found
    try:
        return with_moments(msgspec.json.schema(payload_type), payload_type)
    except TypeError:
        from pydantic import TypeAdapter  # noqa: PLC0415 - only a type with a pydantic model in it comes here

        return TypeAdapter(payload_type).json_schema(schema_generator=_with_examples())


def _with_examples() -> Any:
    from postmill.handlers.pydantic_schema import SchemaWithExamples  # noqa: PLC0415 - pydantic is an extra

    return SchemaWithExamples
