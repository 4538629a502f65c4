"""What the payloads of a queue look like: for a person or a program that sends by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from postmill.api.resources.queues import InQueue
from postmill.api.route import resource
from postmill.api.shape import Moment
from postmill.db.reads import payload_types
from postmill.model.errors import InvalidPayload
from postmill.model.queue import payload_type
from postmill.model.queue.addressee import TASK_HEADER
from postmill.model.queue.payload import loads
from postmill.model.queue.payload_example import example

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection


class PayloadField(Struct, kw_only=True):
    """A field of a payload. ``kind`` says in words what its value is."""

    name: str
    kind: str
    required: bool


class PayloadType(Struct, kw_only=True):
    """What the payloads of one task look like, or (an empty ``task``) those of the worker's default handler.
    ``schema`` is a JSON Schema and ``example`` a payload with what is required, both as text.
    """

    task: str
    function_name: str
    fields: list[PayloadField]
    example: str
    schema: str
    noted_at: Moment


class PayloadTypes(Struct):
    """As the worker that started last has said; none when none has."""

    items: list[PayloadType]


@resource("GET", "/queues/{queue}/payload-types", out=PayloadTypes, in_path=InQueue)
async def list_payload_types(desk: Desk, path: InQueue) -> PayloadTypes:
    """What the worker of a queue wants in payloads."""
    return PayloadTypes([_type(row) for row in await desk.read(payload_types.listed, path.queue)])


def check(
    connection: Connection, queue: str, message: msgspec.Raw, headers: Mapping[str, Any] | None
) -> None:
    """Raises :class:`InvalidPayload` for a message that the queue's worker would not take. One of which no
    worker has said anything is taken.
    """
    rows = {row["task"]: row for row in payload_types.known(connection, queue)}
    task = (headers or {}).get(TASK_HEADER, "")
    row = rows.get(task) if isinstance(task, str) else None
    if row is None:
        return
    fault = payload_type.fault(row["schema"], loads(bytes(message)))
    if fault is not None:
        wanted = ", ".join(each.name for each in payload_type.fields(row["schema"]) if each.required)
        raise InvalidPayload(
            fault,
            why=f"{row['function_name']} needs {wanted}." if wanted else "Its worker would not take it.",
            hint="Correct it, or send it without the check.",
        )


def _type(row: dict[str, Any]) -> PayloadType:
    schema = row["schema"]
    return PayloadType(
        task=row["task"],
        function_name=row["function_name"],
        fields=[
            PayloadField(name=each.name, kind=each.kind, required=each.required)
            for each in payload_type.fields(schema)
        ],
        example=json.dumps(example(schema), indent=2, ensure_ascii=False),
        schema=json.dumps(schema, ensure_ascii=False),
        noted_at=row["noted_at"],
    )
