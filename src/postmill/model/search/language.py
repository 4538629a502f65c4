"""The search language, such as ``state:dead since:1h payload.user.id=7 "free text"``: to a filter and back.
``docs/reference/search.md`` is its reference.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from postmill.model.errors import InvalidSearch
from postmill.model.option_rules import did_you_mean
from postmill.model.search.filter import STATES, Field, Filter, When

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TERM = re.compile(rf'(?:{_QUOTED}|[^\s"])+')
_PLACE = re.compile(
    rf"(?P<part>payload|header)(?P<path>(?:\.(?:{_QUOTED}|[^\s\".=:]+))+)=(?P<value>.*)", re.DOTALL
)
_STEP = re.compile(rf"\.(?P<step>{_QUOTED}|[^\s\".=:]+)")
_KEY = re.compile(r"(?P<key>[A-Za-z]+):(?P<value>.*)", re.DOTALL)
_AGO = re.compile(r"(?P<number>\d{1,9})(?P<unit>s|min|m|h|d|w)")
_IDS = re.compile(r"(?P<low>\d{1,18})(?:\.\.(?P<high>\d{1,18}))?")
_PLAIN = re.compile(r'[^\s"\\:=]+')
_PLAIN_STEP = re.compile(r'[^\s"\\.:=]+')
_UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "min": 60, "s": 1}
"""Seconds of each unit, the longest first."""
LONGEST_AGO_S = 36_500 * 86_400
"""The longest time before now, in seconds. A hundred years: no message is older, and each moment is in a year
that Python and Postgres have.
"""


class _Term(NamedTuple):
    text: str
    at: int

    def refused(self, what: str, why: str = "", hint: str = "") -> InvalidSearch:
        """What is wrong with this term, and where it begins, counted from 1."""
        return InvalidSearch(f"{what} (character {self.at + 1}: {self.text})", why=why, hint=hint, at=self.at)


def parse(text: str) -> Filter:
    """The filter that ``text`` means. Raises :class:`InvalidSearch` at the first term that means nothing."""
    given: dict[str, Any] = {}
    fields: list[Field] = []
    words: list[str] = []
    for term in _terms(text):
        if found := _PLACE.fullmatch(term.text):
            field = _field(found)
            if place_of(field) in map(place_of, fields):
                raise term.refused(f"{place_of(field)} is given twice.", why="It has one value.")
            fields.append(field)
        elif found := _KEY.fullmatch(term.text):
            key = found["key"].lower()
            if key not in _VALUES:
                raise term.refused(
                    f"There is no key {key!r}.",
                    why=f"Keys are {', '.join(_VALUES)}; a text with a colon is written in quotes.",
                    hint=did_you_mean(key, _VALUES),
                )
            name = _NAMES.get(key, key)
            if name in given:
                raise term.refused(f"{key} is given twice.", why="A message would have to match both.")
            given[name] = _VALUES[key](_bare(found["value"]), term)
        else:
            words.append(_word(term))
    return Filter(**given, fields=tuple(fields), words=tuple(words))


def text_of(wanted: Filter) -> str:
    """The text that means this filter: :func:`parse` gives the same filter for it."""
    terms = [
        f"{key}:{_quoted(shown)}"
        for key, shown in (
            ("queue", wanted.queue),
            ("state", wanted.state),
            ("error", wanted.error),
            ("worker", wanted.worker),
            ("id", None if wanted.ids is None else _ids_text(*wanted.ids)),
            ("since", None if wanted.since is None else _when_text(wanted.since)),
            ("before", None if wanted.before is None else _when_text(wanted.before)),
        )
        if shown is not None
    ]
    terms += [f"{place_of(field)}={_quoted(field.value)}" for field in wanted.fields]
    return " ".join([*terms, *map(_quoted, wanted.words)])


def place_of(field: Field) -> str:
    """The place of a field, as a text has it before ``=``."""
    return field.part + "".join(f".{_quoted(step, _PLAIN_STEP)}" for step in field.path)


def _terms(text: str) -> Iterator[_Term]:
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        found = _TERM.match(text, place)
        if found is None or (found.end() < len(text) and not text[found.end()].isspace()):
            raise _Term(text[place:], place).refused("A quotation mark has no second one.")
        yield _Term(found[0], place)
        place = found.end()


def _bare(text: str) -> str:
    """Text without its quotation marks."""
    return re.sub(
        _QUOTED,
        lambda quoted: re.sub(r"\\(.)", r"\1", quoted[0][1:-1], flags=re.DOTALL),
        text,
        flags=re.DOTALL,
    )


def _quoted(text: str, plain: re.Pattern[str] = _PLAIN) -> str:
    """Text in quotation marks, where it needs them."""
    if plain.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _field(place: re.Match[str]) -> Field:
    path = tuple(_bare(step["step"]) for step in _STEP.finditer(place["path"]))
    return Field("payload" if place["part"] == "payload" else "header", path, _bare(place["value"]))


def _word(term: _Term) -> str:
    """Free text. What looks like a comparison with something that is no place is refused."""
    name, equals, _ = term.text.partition("=")
    if equals and not term.text.startswith('"'):
        raise term.refused(
            f"There is no field {name!r}.",
            why='Fields are payload.PATH=VALUE and header.NAME=VALUE; a text with "=" is written in quotes.',
            hint=did_you_mean(name.partition(".")[0], ("payload", "header")),
        )
    return _filled(_bare(term.text), term)


def _filled(value: str, term: _Term) -> str:
    if not value:
        raise term.refused("Nothing is given.", hint="Leave the term out.")
    return value


def _state(value: str, term: _Term) -> str:
    if value not in STATES:
        raise term.refused(
            f"There is no state {value!r}.",
            why=f"It is one of {', '.join(STATES)}.",
            hint=did_you_mean(value, STATES),
        )
    return value


def _ids(value: str, term: _Term) -> tuple[int, int]:
    found = _IDS.fullmatch(value)
    if found is None:
        raise term.refused(f"{value!r} is no id.", hint="Write id:42 or id:40..50.")
    low, high = int(found["low"]), int(found["high"] or found["low"])
    if high < low:
        raise term.refused(f"{value!r} ends before it begins.", hint=f"Write id:{high}..{low}.")
    return low, high


def _when(value: str, term: _Term) -> When:
    try:
        if found := _AGO.fullmatch(value):
            unit = "min" if found["unit"] == "m" else found["unit"]
            return When(ago_s=min(int(found["number"]) * _UNITS[unit], LONGEST_AGO_S))
        at = datetime.fromisoformat(value)
        return When(at=at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC))
    except (ValueError, OverflowError):
        raise term.refused(
            f"{value!r} is no time.",
            hint="Write how long ago (90s, 15min, 12h, 30d, 2w) or 2026-01-31T14:00Z.",
        ) from None


def _ids_text(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}..{high}"


def _when_text(when: When) -> str:
    if when.at is not None:
        return when.at.isoformat().replace("+00:00", "Z")
    ago_s = when.ago_s or 0
    unit = next(
        unit for unit, length in _UNITS.items() if (ago_s % length == 0 and ago_s >= length) or unit == "s"
    )
    return f"{ago_s // _UNITS[unit]}{unit}"


_VALUES: dict[str, Callable[[str, _Term], object]] = {
    "queue": _filled,
    "state": _state,
    "error": _filled,
    "worker": _filled,
    "id": _ids,
    "since": _when,
    "before": _when,
}
"""What reads the value of each key."""
KEYS = tuple(_VALUES)
"""The keys, such as ``state`` of ``state:dead``."""
_NAMES = {"id": "ids"}
"""Keys whose field in the filter has another name."""
