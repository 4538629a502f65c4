"""What an import would do or has done: counts by kind, and what becomes of each. Reads nothing."""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS = ("source", "queue", "outcome", "count", "why")
LEFT_BEHIND = "another client held it, or it came meanwhile: run this again"


@dataclass(frozen=True, slots=True)
class Line:
    """So many things of one kind, and what becomes of them."""

    source: str
    """Where they are, or were."""
    queue: str
    """The queue of Postmill that they are for."""
    outcome: str
    """``to do`` in a dry run, ``done`` after a run, or ``left``."""
    count: int
    why: str = ""
    """What is done with them, or why they are left."""
