"""What a map with ``on_dead="collect"`` came to: its results, and which of its items have failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ItemError:
    """An item that has failed for good."""

    item: int
    """Its place in the list, from 0."""
    reason: str


@dataclass(frozen=True)
class Partial(Generic[T]):
    """Read by ``crawl.partial``."""

    results: list[T]
    """In the order of their items."""
    errors: list[ItemError]
