"""What a run's input has where its start says nothing: the defaults of the input type's fields.

The database is told of them, so that a start in SQL, on the command line or by a schedule has them too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, get_origin

import msgspec

from postmill.model.queue.payload import to_json

_Field: TypeAlias = tuple[str, Any, Callable[[], Any] | None]
"""A field's name in JSON, its default (or :data:`_NONE`), and what makes its default (or None)."""
_NONE = object()


def defaults_of(annotation: Any) -> dict[str, msgspec.Raw]:
    """Each default as JSON, by field. A default that a function makes (the time, a new id) is none for a
    start outside of Python; one that a class makes, such as ``list``, is.
    """
    found: dict[str, msgspec.Raw] = {}
    for name, default, factory in _fields(get_origin(annotation) or annotation):
        try:
            if isinstance(factory, type):
                found[name] = msgspec.Raw(to_json(factory()))
            elif default is not _NONE:
                found[name] = msgspec.Raw(to_json(default))
        except Exception:  # noqa: S112 - a default that is no JSON, or can't be made, is none
            continue
    return found


def _fields(owner: Any) -> Iterator[_Field]:
    if isinstance(owner, type) and issubclass(owner, msgspec.Struct):
        for each in msgspec.structs.fields(owner):
            yield each.encode_name, _or_none(each.default, msgspec.NODEFAULT), _made(each.default_factory)
    elif dataclasses.is_dataclass(owner):
        for field in dataclasses.fields(owner):
            yield field.name, _or_none(field.default, dataclasses.MISSING), _made(field.default_factory)
    elif isinstance(fields := getattr(owner, "model_fields", None), Mapping):  # of a pydantic model
        for name, info in fields.items():
            default = _NONE if info.is_required() or info.default_factory is not None else info.default
            yield name, default, info.default_factory


def _or_none(default: Any, missing: Any) -> Any:
    return _NONE if default is missing else default


def _made(factory: Any) -> Callable[[], Any] | None:
    return factory if callable(factory) else None
