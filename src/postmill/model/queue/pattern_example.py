"""A text that fits a regular expression, for a person to begin with. Pure.

It reads what patterns of fields consist of: letters, classes, groups, choices, repetitions. Of what it does
not read (a look ahead, a class of Unicode) it makes nothing, and what it makes is tried before it is given.
"""

from __future__ import annotations

import re

_LETTERS = "aA0-_ .:/@#+,;=!?%&*()[]{}<>|~^$\"'\\\t\n"
"""Of a class, the first of these that fits."""
_NOTHING = frozenset([r"^", r"$", r"\A", r"\Z", r"\z", r"\b", r"\B"])
"""Match a place, and no letter."""
_OPENING = re.compile(r"\((?:\?(?::|P?<\w+>))?(?![?*])")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_TIMES = re.compile(r"(?:(?P<sign>[*+?])|\{(?P<least>\d+)(?P<more>,(?P<most>\d*))?\})[?+]?")
LONGEST = 200
"""Letters of a text at most. A field of two hundred is typed by no person, and a pattern may ask for
millions.
"""


class _Unread(Exception):
    """Something stands in the pattern that is not read here."""


def text_for(pattern: str, least: int = 0) -> str | None:
    """A short text of at least so many letters that fits; None where none is found."""
    if least > LONGEST:
        return None
    try:
        for more in range(least + 1):
            found = _Reader(pattern, more).text().ljust(least, _LETTERS[0])
            if re.search(pattern, found):
                return found
    except (_Unread, re.error, RecursionError):
        return None
    return None


class _Reader:
    """Reads a pattern from the left. What may be repeated is, ``more`` times where it has no end before."""

    def __init__(self, pattern: str, more: int) -> None:
        self._pattern = pattern
        self._more = more
        self._at = 0

    def text(self) -> str:
        """A text that fits all of it."""
        found = self._first_choice()
        if self._at < len(self._pattern):
            raise _Unread
        return found

    def _first_choice(self) -> str:
        found = self._sequence()
        while self._pattern.startswith("|", self._at):
            self._at += 1
            self._sequence()
        return found

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            parts.append(self._part() * self._times())
            if sum(map(len, parts)) > LONGEST:
                raise _Unread
        return "".join(parts)

    def _part(self) -> str:
        if self._pattern.startswith("(", self._at):
            self._take(_OPENING)
            found = self._first_choice()
            self._take(re.compile(r"\)"))
            return found
        if self._pattern.startswith("[", self._at):
            return _letter_of(self._take(_CLASS)[0])
        one = self._take(re.compile(r"\\.|.", re.DOTALL))[0]
        return "" if one in _NOTHING else _letter_of(one) if one[0] in "\\." else one

    def _times(self) -> int:
        told = _TIMES.match(self._pattern, self._at)
        if told is None:
            return 1
        self._at = told.end()
        least = int(told["least"] or (told["sign"] == "+"))
        if least > LONGEST:
            raise _Unread
        if told["sign"] == "?" or (told["least"] and not told["more"]):
            return least
        return min(max(least, self._more), int(told["most"] or LONGEST))

    def _take(self, kind: re.Pattern[str]) -> re.Match[str]:
        found = kind.match(self._pattern, self._at)
        if found is None:
            raise _Unread
        self._at = found.end()
        return found


def _letter_of(kind: str) -> str:
    fits = re.compile(kind)
    found = next((each for each in _LETTERS if fits.fullmatch(each)), None)
    found = found or next((each for each in map(chr, range(33, 127)) if fits.fullmatch(each)), None)
    if found is None:
        raise _Unread
    return found
