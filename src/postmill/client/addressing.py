"""Where a message is sent: the queue, the headers that reach a task, and the payload that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from postmill.model.errors import InvalidPayload
from postmill.model.queue.payload import to_json
from postmill.model.queue.queue_name import not_a_name, usable

if TYPE_CHECKING:
    from postmill.model.queue.addressee import Addressee


def addressed(to: str | Addressee, headers: Any) -> tuple[str, Any]:
    """The queue's name, and the headers that reach a worker's task."""
    if isinstance(to, str):
        return to, headers
    queue = getattr(to, "queue", None)
    if not isinstance(queue, str):
        raise not_a_name(to)
    return queue, merged(to.task_headers, headers)


def queue_of(to: str | Addressee) -> str:
    """The queue's name, of a worker or task that of its queue."""
    return addressed(to, None)[0]


def named(to: object) -> str:
    """The name of a queue that can be there."""
    if not isinstance(to, str):
        raise not_a_name(to)
    return usable(to)


def merged(base: Mapping[str, object], headers: Any) -> Any:
    """``headers`` over ``base``. They may be a function of the payload: then the result is one too."""
    if not base:
        return headers
    if callable(headers):
        return lambda payload: merged(base, headers(payload))
    return {**base, **(headers or {})} if isinstance(headers, Mapping | None) else headers


def checked(to: str | Addressee, payload: object) -> object:
    """The payload, checked against the annotation of the worker or task that it is sent to."""
    return payload if isinstance(to, str) else to.encode(payload)


def headers_text(headers: object) -> str:
    """Headers as JSON text. Raises :class:`InvalidPayload`."""
    text = to_json(headers).decode()
    if not text.startswith("{"):
        raise InvalidPayload(
            f"The headers are a {type(headers).__name__}; they are a JSON object.", hint="Give a dict."
        )
    return text
