"""What one check of ``postmill doctor`` found, and how to fix it. A value; decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``doctor``."""

    check: str
    status: Status
    found: str
    """What was seen, for people."""
    fix: str = ""
    """What to do about it; empty only when the check passed."""
    about: tuple[str, ...] = ()
    """The names of the queues that it is about, where it is about queues."""
