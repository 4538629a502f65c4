"""The viewer: a name for the audit and a role that says what is allowed. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias


class Role(StrEnum):
    """What a viewer may do."""

    READER = "reader"
    """Looks, and sees payloads with secrets left out."""
    OPERATOR = "operator"
    """Looks, acts, and may reveal what is left out."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person or program that is known."""

    name: str
    """What the audit calls it."""
    role: Role = Role.READER
    source: str = ""
    """Where the request came from: an address. The application fills it in when it is empty."""


Authorize: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[Viewer | None]]
"""The viewer that sends the request of an ASGI scope; None: one that is not known."""
