"""How a value that is not what a resource asks for is told: which one it is, and how to write it. Pure."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, get_args

from postmill.api.problem import Failure
from postmill.api.route import QueueName
from postmill.api.shape import BigId

if TYPE_CHECKING:
    from collections.abc import Iterable

    import msgspec

_PLACE = re.compile(r" - at `(?:key in )?\$\.?(?P<place>[^`]*)`$")
_REGEX = re.compile(r"matching regex '(?P<pattern>.*)'")


class Misfit(NamedTuple):
    """What is wrong, why, and what to try."""

    what: str
    why: str
    hint: str


def check_no_nul(values: Iterable[str]) -> None:
    """Raises :class:`Failure` for a text that the database can't be asked with."""
    if any("\0" in value for value in values):
        raise Failure(HTTPStatus.BAD_REQUEST, "invalid-option", "A name or value contains the character NUL.")


def misfit(error: msgspec.ValidationError) -> Misfit:
    """In words what msgspec says of a value. A rule that has a name is told by it, not by its pattern."""
    said = str(error)
    found = _PLACE.search(said)
    place = found["place"] if found and found["place"] else "The value"
    pattern = _REGEX.search(said)
    rule = _RULES.get(pattern["pattern"]) if pattern else None
    if rule is not None:
        return Misfit(f"{place} {rule[0]}", *rule[1:])
    return Misfit(f"{said}.", "", "GET /api/v1/openapi.json says what each request takes.")


def _pattern_of(annotated: object) -> str:
    """As a message of msgspec shows it."""
    pattern: str = get_args(annotated)[1].pattern
    return repr(pattern)[1:-1]


_RULES = {
    _pattern_of(BigId): (
        "is no id.",
        "An id is a whole number of 64 bits, written as text: JavaScript's numbers lose digits above 2^53.",
        'Write it as "42".',
    ),
    _pattern_of(QueueName): (
        "is no name for a queue.",
        "It has 1 to 47 characters of a-z, 0-9, _ and -, does not begin with -, and has no -- in it.",
        'For example "mail".',
    ),
}
