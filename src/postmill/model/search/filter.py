"""What a search asks for, as data: which messages match. Knows no text and no SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

STATES = ("scheduled", "ready", "running", "retrying", "waiting", "completed", "dead", "cancelled")
"""The states of a message, by which it can be searched for."""
Part: TypeAlias = Literal["payload", "header"]


@dataclass(frozen=True, slots=True)
class Field:
    """A place in the payload or the headers, and the value there, as text: 7 and "7" are alike."""

    part: Part
    path: tuple[str, ...]
    value: str


@dataclass(frozen=True, slots=True)
class When:
    """A moment, or a length of time before now, in seconds: one of the two."""

    ago_s: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """A message matches when all that is given does."""

    queue: str | None = None
    state: str | None = None
    error: str | None = None
    """A part of the type or the message of an error that it had, in any case of letters."""
    worker: str | None = None
    """The beginning of the id of the worker on which it runs."""
    ids: tuple[int, int] | None = None
    """The lowest and the highest id."""
    since: When | None = None
    """It was sent then or later."""
    before: When | None = None
    """It was sent earlier."""
    fields: tuple[Field, ...] = ()
    words: tuple[str, ...] = ()
    """Parts of its payload's text, in any case of letters."""
