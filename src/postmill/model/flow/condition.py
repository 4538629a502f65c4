"""When a step runs: conditions on what earlier steps gave, as JSON that the database evaluates too.

``{"of", "path", "equals": scalar}``, ``{"of", "path", "has": pattern}``, ``{"all": [...]}``, ``{"not": c}``.
What is missing (of a step that was skipped, or a field that is not there) equals nothing and has nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from postmill.model.errors import InvalidFlow
from postmill.model.queue.payload import loads, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Json: TypeAlias = Mapping[str, Any]

MISSING: Any = object()
"""What is read where nothing is."""


class Condition:
    """Join conditions by ``&`` and ``|``, negate one by ``~``."""

    __slots__ = ("json",)

    def __init__(self, json: Json) -> None:
        self.json = json
        """As the database evaluates it."""

    def __and__(self, other: Condition | bool) -> Condition:
        return Condition({"all": [self.json, other.json]}) if isinstance(other, Condition) else NotImplemented

    def __or__(self, other: Condition | bool) -> Condition:
        return ~(~self & ~other) if isinstance(other, Condition) else NotImplemented

    def __rand__(self, other: Condition | bool) -> Condition:
        return self & other

    def __ror__(self, other: Condition | bool) -> Condition:
        return self | other

    def __invert__(self) -> Condition:
        return Condition({"not": self.json})

    def __bool__(self) -> NoReturn:
        raise InvalidFlow(
            "A condition of a flow is neither true nor false while the flow is defined.",
            why="It is evaluated in each run, when its steps have ended.",
            hint="Join conditions by & and |, negate one by not_(...); `and`, `or`, `not` and `in` can't.",
        )

    def __repr__(self) -> str:
        return f"Condition({self.json!r})"


def equals(of: str, path: Sequence[str], value: object) -> Condition:
    """What stands there is this scalar. Raises :class:`InvalidFlow` for a list or an object of JSON."""
    plain = loads(to_json(value))
    if isinstance(plain, dict | list):
        kind = "an object" if isinstance(plain, dict) else "a list"
        raise InvalidFlow(
            f"A condition on {of!r} compares with {kind}, by ==.",
            why="Equality is for text, numbers, true, false and null.",
            hint=f"Write {of}.has({{...}}): what is named there must be in it.",
        )
    return Condition({"of": of, "path": list(path), "equals": plain})


def has(of: str, path: Sequence[str], pattern: object) -> Condition:
    """What stands there contains the pattern, in the sense of ``jsonb @>``. Raises :class:`InvalidFlow` for a
    scalar.
    """
    plain = loads(to_json(pattern))
    if not isinstance(plain, dict | list):
        raise InvalidFlow(
            f"{of}.has({pattern!r}) has no pattern.",
            why="A pattern is an object or a list.",
            hint="Compare text, numbers, true, false and null by ==.",
        )
    return Condition({"of": of, "path": list(path), "has": plain})


def sources(condition: Json) -> set[str]:
    """The names that it reads: of steps, and ``input``."""
    if "all" in condition:
        return set().union(*(sources(each) for each in condition["all"]))
    return sources(condition["not"]) if "not" in condition else {condition["of"]}


def in_words(condition: Json) -> str:
    """The condition as people read it: ``fetch.lang == "en" and not (cheap.ok == true)``."""
    if "all" in condition:
        return " and ".join(map(in_words, condition["all"]))
    if "not" in condition:
        return f"not ({in_words(condition['not'])})"
    place = ".".join([condition["of"], *condition.get("path", [])])
    word, value = ("==", condition["equals"]) if "equals" in condition else ("has", condition.get("has"))
    return f"{place} {word} {to_json(value).decode()}"


def evaluate(condition: Json, values: Mapping[str, Any]) -> bool:
    """Whether it holds. ``values``: what was given, by name; without what was skipped."""
    if "all" in condition:
        return all(evaluate(each, values) for each in condition["all"])
    if "not" in condition:
        return not evaluate(condition["not"], values)
    value = follow(values.get(condition["of"], MISSING), condition["path"])
    if value is MISSING:
        return False
    if "equals" in condition:
        return _same(value, condition["equals"])
    return contains(value, condition["has"])


def follow(value: Any, path: Sequence[str]) -> Any:
    """What stands at a path; :data:`MISSING` where it leads nowhere. Of a list, a number is a place."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part, MISSING)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def contains(value: Any, pattern: Any) -> bool:
    """As ``value @> pattern`` in Postgres, for a pattern that is an object or a list."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and contains(value[name], part) for name, part in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(
            any(contains(item, part) for item in value) for part in pattern
        )
    return _same(value, pattern)


def _same(value: Any, scalar: Any) -> bool:
    """Python takes True for 1."""
    return isinstance(value, bool) == isinstance(scalar, bool) and bool(value == scalar)
