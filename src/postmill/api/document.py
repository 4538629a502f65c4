"""The API's description of itself in OpenAPI 3.1, made from what the resources declare. Pure."""

from __future__ import annotations

import inspect
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from postmill.api import problem
from postmill.api.endpoint import JSON, LONGEST_KEY, MOST_BYTES
from postmill.api.route import RESOURCES, Nothing, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable

REF = "#/components/schemas/{name}"
REFUSALS = {
    "400": "A name, a value or the JSON is not understood.",
    "401": "No key, or none that is known.",
    "403": "The key is a reader's, everything is read-only, or a page of another origin has sent it.",
    "404": "What is named is not there.",
    "405": "The method is not offered at this path.",
    "409": "It can't be done as things stand.",
    "413": f"The body is larger than {MOST_BYTES:,} bytes.",
    "415": "The body is not application/json.",
    "422": "The JSON is not what is asked for here, or the Idempotency-Key was used for something else.",
    "500": "A bug.",
    "503": "The database can't be reached, or lacks the schema.",
    "504": "The database did not answer in time.",
}
"""Why a request may be refused, by status."""
SHARED = {
    "database": {
        "name": "database",
        "in": "query",
        "description": "Which database; there is one so far.",
        "schema": {"type": "string", "enum": ["default"]},
    },
    "idempotency-key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A text of the sender's choice. A request that is sent again with it has the same "
        "answer, and takes effect once.",
        "schema": {"type": "string", "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"},
    },
}
"""Parameters of every request; the second only of those that change something."""
_INTRODUCTION = """Watch and steer Postmill: queues, messages, schedules, calls, functions and flows.

Numbers of 64 bits are texts. Lists go on with `cursor`. What stands under the name of a secret in payloads,
headers and results is `[redacted]`. A member or parameter that is not named here is refused."""


@cache
def document() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(_document(RESOURCES))


def _document(resources: Iterable[Resource]) -> dict[str, Any]:
    known = list(resources)
    types = [part for each in known for part in (each.out, each.body) if part is not None]
    schemas, components = msgspec.json.schema_components([*types, problem.Problem], ref_template=REF)
    found = dict(zip(map(id, [*types, problem.Problem]), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in known:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, found)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Postmill", "version": version("postmill"), "description": _INTRODUCTION},
        "servers": [{"url": "."}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "parameters": SHARED,
            "responses": {status: _refusal(text) for status, text in REFUSALS.items()},
        },
    }


def _operation(each: Resource, schemas: dict[int, dict[str, Any]]) -> dict[str, Any]:
    text = inspect.getdoc(each.answer) or ""
    summary, _, more = " ".join(text.split()).partition(". ")
    operation: dict[str, Any] = {
        "operationId": each.name,
        "tags": [each.segments[0]],
        "summary": summary.rstrip("."),
        "parameters": _parameters(each),
        "responses": {
            str(int(each.status)): {
                "description": "Done.",
                "content": {JSON: {"schema": schemas[id(each.out)]}},
            },
            **{status: {"$ref": f"#/components/responses/{status}"} for status in _refusals(each)},
        },
    }
    if more:
        operation["description"] = more
    if each.body is not None:
        required = any(field.required for field in structs.fields(each.body))
        operation["requestBody"] = {
            "required": required,
            "content": {JSON: {"schema": schemas[id(each.body)]}},
        }
    return operation


def _refusals(each: Resource) -> list[str]:
    of_actions = {"409", "413", "415", "422"}
    return [status for status in REFUSALS if each.method != "GET" or status not in of_actions]


def _parameters(each: Resource) -> list[dict[str, Any]]:
    found = [
        _parameter(place, *member)
        for place, kind in (("path", each.in_path), ("query", each.query))
        for member in _members(kind)
    ]
    shared = ("database",) if each.method == "GET" else tuple(SHARED)
    return [*found, *({"$ref": f"#/components/parameters/{name}"} for name in shared)]


def _members(kind: type[msgspec.Struct]) -> list[tuple[str, dict[str, Any], bool]]:
    """Each name, what it may be, and whether it must be given."""
    if kind is Nothing:
        return []
    schema = msgspec.json.schema(kind)
    shape = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    required = shape.get("required", ())
    return [(name, _without_null(member), name in required) for name, member in shape["properties"].items()]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What may be left out has no null in a query: it is left out."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if choices:
        return choices[0] if len(choices) == 1 else {"anyOf": choices}
    found = {name: value for name, value in schema.items() if name != "default" or value is not None}
    if None in found.get("enum", []):
        found["enum"] = [value for value in found["enum"] if value is not None]
    return found


def _parameter(place: str, name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
    described = schema.pop("description", None)
    parameter: dict[str, Any] = {"name": name, "in": place, "required": required, "schema": schema}
    return parameter | ({"description": described} if described else {})


def _refusal(text: str) -> dict[str, Any]:
    schema = {"$ref": REF.format(name="Problem")}
    return {"description": text, "content": {problem.MEDIA_TYPE: {"schema": schema}}}
