"""A function as commands, the gateway and the API see it: its kind and its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postmill.model.functions.settings import FunctionSettings


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """One function as it is now."""

    slug: str
    """Its name, as URLs have it."""
    settings: FunctionSettings
    kind: str | None
    """``handler``, ``app`` or ``worker``; None until it has been started once."""
    state: str
    """``disabled``, ``idle`` (no process), ``stopped`` (on request, until it is started or called),
    ``starting`` (a failed start that is tried again soon included),
    ``running``, ``blocked`` (no event loop of it turns), ``outdated`` (an earlier version serves, the new one
    does not start) or ``broken`` (it keeps failing).
    """
    instances: int
    """Processes that serve it now."""
    why: str | None
    """What keeps its files from being served as they are; None when nothing does."""
