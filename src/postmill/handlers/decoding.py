"""From a message's JSON to what a handler's annotation asks for. Raises only ``InvalidPayload``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from postmill.model.errors import InvalidHandler, InvalidPayload
from postmill.model.queue.payload import SHORT, check_bounds, loads

if TYPE_CHECKING:
    from collections.abc import Callable

    Decode = Callable[[str], Any]


_JSON_NAMES = {dict: "object", list: "array"}


def decoder(payload_type: Any) -> Decode:
    """The function that decodes payloads of ``payload_type``: anything msgspec knows (dict, Struct,
    dataclass, ...) or pydantic.

    Raises :class:`InvalidHandler` for a type that nothing here can decode.
    """
    if payload_type in (Any, object, dict, list, None):
        return _any_of(payload_type)
    validate = getattr(payload_type, "model_validate_json", None)
    if validate is not None:
        return _pydantic(validate)
    try:
        decode = msgspec.json.Decoder(payload_type).decode
    except TypeError as error:
        raise InvalidHandler(
            f"A payload can't be decoded to {payload_type!r}.",
            why=f"{error}.",
            hint="Annotate it with dict, a dataclass, a msgspec Struct or a pydantic model.",
        ) from error
    return _msgspec(decode)


def _any_of(payload_type: Any) -> Decode:
    if payload_type not in (dict, list):
        return loads

    def decode(raw: str) -> Any:
        payload = loads(raw)
        if type(payload) is not payload_type:
            raise InvalidPayload(f"expected a JSON {_JSON_NAMES[payload_type]}, got {type(payload).__name__}")
        return payload

    return decode


def _msgspec(decode: Decode) -> Decode:
    def checked(raw: str) -> Any:
        if len(raw) > SHORT:
            check_bounds(raw)
        try:
            return decode(raw)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InvalidPayload(str(error)) from error

    return checked


def _pydantic(validate: Decode) -> Decode:
    def checked(raw: str) -> Any:
        loads(raw)  # pydantic's own parser makes infinity of 1e400, and takes NaN
        try:
            return validate(raw)
        except ValueError as error:  # pydantic's ValidationError is one
            raise InvalidPayload(_told_by_pydantic(error)) from error

    return checked


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
