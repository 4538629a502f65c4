"""What is typed into forms, as the bodies that resources take. Pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from postmill.api.problem import Failure
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=msgspec.Struct)


def body(into: type[S], typed: Mapping[str, Any]) -> S:
    """The body; a field that was left empty is left out. Raises :class:`Failure` for what can't be."""
    parts = [
        msgspec.json.encode(name) + b":" + (value if isinstance(value, bytes) else msgspec.json.encode(value))
        for name, value in typed.items()
        if value not in (None, "")
    ]
    try:
        return msgspec.json.decode(b"{" + b",".join(parts) + b"}", type=into, strict=False)
    except msgspec.ValidationError as error:
        raise Failure(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-payload", str(error)) from error


def json_typed(text: str | None) -> bytes | None:
    """The JSON in a field, as it stands there; None for an empty one. Raises ``InvalidPayload``."""
    if text is None or not text.strip():
        return None
    return bytes(payload_typed(text))


def payload_typed(text: str) -> msgspec.Raw:
    """The JSON that has to be in a field, with the digits that stand there. Raises ``InvalidPayload``."""
    return msgspec.Raw(to_json(msgspec.Raw(text.encode(errors="replace"))))
