"""From rows of the database to the Structs that are answered: ids become texts, secrets go. Pure."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, get_args

from msgspec import Meta, Raw, Struct, field, structs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BigId: TypeAlias = Annotated[
    str,
    Meta(
        pattern="^(0|[1-9][0-9]{0,17}|[1-8][0-9]{18})$",
        description="A whole number of 64 bits, as text: JavaScript's numbers lose digits above 2^53.",
        examples=["42"],
    ),
]
Payload: TypeAlias = Annotated[
    Any, Meta(description="Any JSON. What stands under the name of a secret is `[redacted]`.")
]
"""What is redacted, wherever it stands in an answer."""

Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]

ABSENT = Raw(b"")
"""What a member of a body is whose JSON was not given; ``null`` is given."""


def unless_given(text: bytes) -> Any:
    """The default of a member that is any JSON. The document has no word for one: it is left out there."""
    return field(default_factory=lambda: Raw(text))


S = TypeVar("S", bound=Struct)


def shaped(kind: type[S], row: Mapping[str, Any], hide: Callable[[Any], Any]) -> S:
    """The row as ``kind``, of which it has at least the fields without a default. Each :data:`Payload` has
    gone through ``hide``.
    """
    values = {}
    for name, change in _plan(kind):
        if name in row:
            value = row[name]
            values[name] = value if change is None or value is None else _CHANGES[change](value, hide)
    return kind(**values)


def whole(value: Any) -> Any:
    """Hides nothing: for an action that reveals."""
    return value


@cache
def _plan(kind: type[Struct]) -> tuple[tuple[str, str | None], ...]:
    """Each field, and how its value is changed."""
    return tuple((field.name, _change(field.type)) for field in structs.fields(kind))


def _change(kind: Any) -> str | None:
    parts = (kind, *get_args(kind))
    if Payload in parts:
        return "payload"
    return "id" if BigId in parts else None


_CHANGES: dict[str, Callable[[Any, Callable[[Any], Any]], Any]] = {
    "id": lambda value, _: list(map(str, value)) if isinstance(value, list) else str(value),
    "payload": lambda value, hide: hide(value),
}
