"""Leaves out what is secret in payloads, headers and results, by the names that stand before it. Pure.

A secret that stands in a text, or under a name that says nothing, is not found: a program that must not show
one should not send it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.api.json_text import in_one_line
from postmill.db.tools.connect import TOO_DEEP
from postmill.model.errors import InvalidOption
from postmill.model.queue.payload import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterable

PATTERNS = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "api_key",
    "access_key",
    "private_key",
    "credential",
    "cookie",
)
"""A name that contains one of these stands before a secret; case, ``_`` and ``-`` don't matter."""
REDACTED = "[redacted]"
"""Stands in the place of what is left out."""

_BETWEEN = re.compile(r"[^a-z0-9]+")


class Redaction:
    """What is left out by :data:`PATTERNS` and by these names beside them."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        """Raises ``InvalidOption`` for a name without letters and digits."""
        self.patterns = tuple(dict.fromkeys((*PATTERNS, *more)))
        self._parts = tuple(map(_checked, self.patterns))

    def __call__(self, value: Any) -> Any:
        """``value`` as JSON has it, with ``REDACTED`` in place of what is secret."""
        return self._shown(value, 0)

    def fits(self, name: str) -> bool:
        """Whether a secret stands under this name."""
        plain = _plain(name)
        return any(part in plain for part in self._parts)

    def is_in(self, value: Any) -> bool:
        """Whether something was left out of ``value``: it must not be sent as if it were whole."""
        if isinstance(value, dict):
            return any(
                (each == REDACTED and self.fits(name)) or self.is_in(each) for name, each in value.items()
            )
        return isinstance(value, list) and any(map(self.is_in, value))

    def names_one(self, value: Any) -> bool:
        """Whether a secret would stand in ``value``, or in JSON that a text in it is: to ask for messages
        like it is to guess the secret.
        """
        if isinstance(value, dict):
            return any(self.fits(name) or self.names_one(each) for name, each in value.items())
        if isinstance(value, str) and value.startswith(("{", "[")):
            try:
                return self.names_one(msgspec.json.decode(value))
            except (ValueError, RecursionError):
                return True
        return isinstance(value, list) and any(map(self.names_one, value))

    def shows(self, value: Any, words: Iterable[str]) -> bool:
        """Whether each of the texts stands, in any case of letters, in what is shown of ``value``."""
        shown = in_one_line(self(value)).lower()
        for left_out in (REDACTED, TOO_DEEP):
            shown = shown.replace(json.dumps(left_out), "\0")
        return all(word.lower() in shown for word in words)

    def _shown(self, value: Any, depth: int) -> Any:
        if not isinstance(value, dict | list):
            return value
        if depth > MAX_DEPTH:
            return TOO_DEEP
        if isinstance(value, list):
            return [self._shown(each, depth + 1) for each in value]
        return {
            name: REDACTED if each is not None and self.fits(name) else self._shown(each, depth + 1)
            for name, each in value.items()
        }


def _checked(pattern: str) -> str:
    plain = _plain(pattern)
    if not plain:
        raise InvalidOption(
            f"{pattern!r} names no secret.",
            why="Names are compared by their letters and digits, from a to z and 0 to 9.",
            hint='As in redact = ["iban", "date_of_birth"].',
        )
    return plain


def _plain(name: str) -> str:
    return _BETWEEN.sub("", name.casefold())
