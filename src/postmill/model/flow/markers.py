"""Markers: what stands in a flow's definition for a value that is known only in a run.

A marker knows whose value it stands for, and the fields that lead to it. To a type checker it is that value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

from postmill.model.errors import InvalidFlow
from postmill.model.flow.condition import Condition, equals
from postmill.model.flow.shape import Read

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.model.flow.shape import As


@dataclass(frozen=True, slots=True)
class Source:
    """What a marker reads: a step, or the input."""

    flow: object
    """Whose it is: markers of one flow mean nothing in another."""
    name: str
    type: Any
    """The annotation of its value; ``Any`` when there is none."""


def _refused(use: str) -> Callable[..., NoReturn]:
    """A method for what a marker can't do."""

    def refuse(marker: Marker, *_args: object, **_named: object) -> NoReturn:
        raise InvalidFlow(
            f"{marker!r} {use}.",
            why="Its value is known only in a run, and the flow is being defined.",
            hint="Do it inside a step that takes the value as a parameter; for conditions: when=... == ...,"
            " joined by & and |, negated by not_(...).",
        )

    return refuse


class Marker:
    """Its attributes and items are markers of fields; ``==`` makes a condition; all else is refused."""

    __slots__ = ("postmill_read", "postmill_source")

    postmill_read: Read
    postmill_source: Source

    def __init__(self, source: Source, read: Read) -> None:
        self.postmill_source = source
        self.postmill_read = read

    def __getattr__(self, name: str) -> Marker:
        if name.startswith("__"):  # what Python itself asks for is no field
            raise AttributeError(name)
        return self._at(name)

    def __getitem__(self, key: object) -> Marker:
        if isinstance(key, str):
            return self._at(key)
        if isinstance(key, SupportsIndex) and not isinstance(key, bool) and key.__index__() >= 0:
            return self._at(str(key.__index__()))
        raise InvalidFlow(
            f"{self!r} is asked for its item {key!r}.",
            why="A path has names of fields, and places in lists counted from 0.",
            hint="Take the whole list as a step's parameter, and choose there.",
        )

    def _at(self, part: str) -> Marker:
        read = self.postmill_read
        if read.kind == "each":
            return Marker(self.postmill_source, replace(read, item_path=(*read.item_path, part)))
        if read.kind == "partial":
            raise field_refused(self, part)
        return Marker(self.postmill_source, replace(read, path=(*read.path, part)))

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        read = self.postmill_read
        if isinstance(other, Marker):
            raise InvalidFlow(
                f"{self!r} is compared with {other!r}.",
                why="A condition compares with a constant.",
                hint="Compare the two in a step that returns a bool, and read that.",
            )
        if read.kind in ("each", "partial"):
            raise InvalidFlow(
                f"{self!r} can't be compared.",
                why="A condition is evaluated once a step, and not for each item.",
                hint="Decide in the step.",
            )
        return equals(read.of, read.path, other)

    __hash__ = object.__hash__

    def __and__(self, other: object) -> Condition:
        return (self == True) & condition_from(other)  # noqa: E712 - it makes a condition

    def __or__(self, other: object) -> Condition:
        return (self == True) | condition_from(other)  # noqa: E712

    def __rand__(self, other: object) -> Condition:
        return condition_from(other) & (self == True)  # noqa: E712

    def __ror__(self, other: object) -> Condition:
        return condition_from(other) | (self == True)  # noqa: E712

    def __invert__(self) -> Condition:
        return ~(self == True)  # noqa: E712

    __bool__ = _refused("is neither true nor false yet")
    __ne__ = _refused("is compared by !=")
    __lt__ = __le__ = __gt__ = __ge__ = _refused("is compared by order")
    __contains__ = _refused("is looked into by `in`")
    __iter__ = __len__ = _refused("has no items yet")
    __call__ = _refused("is called")
    __str__ = __format__ = _refused("is put into a text")
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refused("is calculated with")
    __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __rmod__ = __neg__ = _refused("is calculated with")
    __int__ = __float__ = __index__ = _refused("is made a number")

    def __repr__(self) -> str:
        read = self.postmill_read
        kind = "" if read.of == "input" and read.kind == "out" else f".{read.kind}"
        item = (f"each({read.of}", ")") if read.item_path else (f"{read.of}{kind}", "")
        return ".".join((item[0], *read.path)) + ".".join((item[1], *read.item_path))


def field_refused(marker: Marker, part: str) -> InvalidFlow:
    """For a field of what is read as a whole."""
    return InvalidFlow(
        f"{marker!r} has no field {part!r} while the flow is defined.",
        why="Only `out`, `maybe` and the input are read by fields.",
        hint="Take the whole value as a parameter, and read its field in the step.",
    )


def each_of(value: object) -> Marker:
    """One item of the list that a marker stands for. Raises :class:`InvalidFlow` for what is no marker."""
    if not isinstance(value, Marker) or value.postmill_read.kind != "out":
        raise InvalidFlow(
            f"each({value!r}) has no list to run over.",
            why="It takes what stands for a list of a run: a field of the input, or of a step's output.",
            hint="For example: each(site.input.urls), each(links.out.found).",
        )
    return Marker(value.postmill_source, replace(value.postmill_read, kind="each"))


def marker(source: Source, kind: As = "out") -> Any:
    """The marker for the whole value of a source. ``Any``: it is given out as what it stands for."""
    return Marker(source, Read(source.name, kind=kind))


def condition_from(value: object) -> Condition:
    """A condition from what users give as one: a marker of a bool means that it is true. Raises
    :class:`InvalidFlow`.
    """
    if isinstance(value, Condition):
        return value
    if isinstance(value, Marker):
        return value == True  # noqa: E712
    raise InvalidFlow(
        f"{value!r} is no condition.",
        why="A condition asks what a step of this flow, or its input, has given.",
        hint="For example: when=fetch.out.lang == 'en', when=fetch.has({'lang': 'en'}).",
    )


def not_(condition: Condition | bool) -> Condition:
    """The condition that holds where ``condition`` does not."""
    return ~condition_from(condition)
