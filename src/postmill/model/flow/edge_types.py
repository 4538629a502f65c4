"""Whether what a step gives can be what another one takes, judged by annotations alone.

Values travel as JSON, so a ``Page`` may be read as a dict. Only what is surely wrong is told: for what an
annotation does not say, the answer is yes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence, Set
from enum import Enum
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    NewType,
    NoReturn,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import msgspec

from postmill.model.errors import InvalidFlow
from postmill.model.flow.partial import Partial
from postmill.model.option_rules import did_you_mean

_UNIONS = (Union, UnionType)
_TEXTS = (str, bytes, bytearray)


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value of type ``given`` can be taken for one of type ``wanted``."""
    given, wanted = _plain(given), _plain(wanted)
    if wanted in (Any, object) or given in (Any, object) or given == wanted:
        return True
    if get_origin(given) in _UNIONS:
        return all(fits(member, wanted) for member in get_args(given))
    if get_origin(wanted) in _UNIONS:
        return any(fits(given, member) for member in get_args(wanted))
    kinds = _kind(given), _kind(wanted)
    if None in kinds:
        return True
    if kinds[0] != kinds[1]:
        return kinds == ("integer", "number")
    return _parts_fit(given, wanted, kinds[0])


def item_type(values: Any) -> Any:
    """The type of a list's items; None for what is surely no list."""
    values = _plain(values)
    if get_origin(values) in _UNIONS:
        found = [item_type(member) for member in get_args(values) if member is not NoneType]
        return found[0] if len(found) == 1 else Any
    if _kind(values) not in (None, "list"):
        return None
    parts = get_args(values)
    fixed = get_origin(values) is tuple and not (len(parts) == 2 and parts[1] is Ellipsis)
    return parts[0] if parts and not fixed and _kind(values) else Any


def at_path(whole: Any, path: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    """The type of what stands at a path, and the path as it is written in JSON. Raises :class:`InvalidFlow`
    for a field that the type does not have.
    """
    found: tuple[str, ...] = ()
    for part in path:
        whole, written = _field(whole, part)
        found = (*found, written)
    return whole, found


def shown(annotation: Any) -> str:
    """An annotation as its author wrote it, or nearly so."""
    return (
        annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
    )


def _field(whole: Any, name: str) -> tuple[Any, str]:
    whole = _plain(whole)
    if get_origin(whole) in _UNIONS:
        members = [member for member in get_args(whole) if member is not NoneType]
        if len(members) != 1:
            return Any, name
        inner, written = _field(members[0], name)
        return inner | None if inner is not Any else Any, written
    if _kind(whole) == "list":
        if not name.isdecimal():
            _no_field(whole, name)
        return item_type(whole), name
    owner = get_origin(whole) or whole
    if isinstance(owner, type) and issubclass(owner, Mapping) and not is_typeddict(owner):
        return (*get_args(whole), Any, Any)[1], name
    if _kind(whole) not in (None, "object"):
        _no_field(whole, name)
    return _field_of_object(owner, name)


def _field_of_object(owner: Any, name: str) -> tuple[Any, str]:
    names = _field_names(owner)
    if names is None:
        return Any, name
    if name not in names:
        _no_field(owner, name, names)
    try:
        return get_type_hints(owner).get(name, Any), names[name]
    except NameError:  # a type that only a type checker sees
        return Any, names[name]


def _field_names(owner: Any) -> dict[str, str] | None:
    """How each field is written in JSON; None for a type whose fields are not known."""
    if isinstance(owner, type) and issubclass(owner, msgspec.Struct):
        return {field.name: field.encode_name for field in msgspec.structs.fields(owner)}
    if dataclasses.is_dataclass(owner):
        return {field.name: field.name for field in dataclasses.fields(owner)}
    if is_typeddict(owner):
        return {name: name for name in owner.__annotations__}
    fields = getattr(owner, "model_fields", None)  # of a pydantic model
    return {name: name for name in fields} if isinstance(fields, Mapping) else None


def _no_field(owner: Any, name: str, known: Iterable[str] = ()) -> NoReturn:
    raise InvalidFlow(f"{shown(owner)} has no field {name!r}.", hint=did_you_mean(name, known))


def _plain(annotation: Any) -> Any:
    """Without what says nothing about JSON: a NewType's name; a Literal is the type of its values."""
    while isinstance(annotation, NewType):
        annotation = annotation.__supertype__
    if annotation is None:
        return NoneType
    if get_origin(annotation) is Literal:
        kinds = {type(value) for value in get_args(annotation)}
        return kinds.pop() if len(kinds) == 1 else Any
    return annotation


def _kind(annotation: Any) -> str | None:
    """What its values are in JSON, where that is sure."""
    owner = get_origin(annotation) or annotation
    if is_typeddict(owner):
        return "object"
    if not isinstance(owner, type) or issubclass(owner, Enum):
        return None
    for kind, members in _KINDS:
        if issubclass(owner, members):
            return kind
    return "object" if _field_names(owner) is not None else None


_KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("null", (NoneType,)),
    ("bool", (bool,)),
    ("integer", (int,)),
    ("number", (float,)),
    ("text", _TEXTS),
    ("object", (Mapping,)),
    ("list", (Sequence, Set)),
)


def _parts_fit(given: Any, wanted: Any, kind: str | None) -> bool:
    if kind == "list":
        return fits(item_type(given), item_type(wanted))
    if kind != "object":
        return True
    owners = get_origin(given) or given, get_origin(wanted) or wanted
    if Partial in owners:
        return owners[0] is owners[1] and all(map(fits, get_args(given), get_args(wanted)))
    free = [owner for owner in owners if is_typeddict(owner) or issubclass(owner, Mapping)]
    return bool(free) or issubclass(owners[0], owners[1])
