"""What a function has done lately, as far as its host remembers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Line:
    """A line that it has written, or an event of one of its processes."""

    at: float
    """Seconds since 1970."""
    event: str
    """``function.log`` for what it has written itself."""
    text: str
    execution: str
    """The beginning of its process's id."""


@dataclass(frozen=True, slots=True)
class Minute:
    """Requests in one minute."""

    minute: int
    """Minutes since 1970."""
    requests: int
    errors: int
    """Of them: those that have had no answer of the function's own."""


class Recent(Protocol):
    """The memory of a host."""

    @property
    def version(self) -> int:
        """Another number after each change."""

    def lines(self, slug: str) -> Sequence[Line]:
        """The last lines of a function, the latest at the end."""

    def minutes(self, slug: str) -> Sequence[Minute]:
        """Minutes of the last hour in which it had requests, the latest at the end."""
