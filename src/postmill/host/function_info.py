"""A function as it is seen from outside: what it is, and how it is doing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from postmill.host.instance import State

if TYPE_CHECKING:
    from postmill.host.pool import Pool
    from postmill.model.function_settings import FunctionSettings


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """One function as it is now."""

    slug: str
    settings: FunctionSettings
    kind: str | None
    """``handler``, ``app`` or ``worker``; None until it has been started once."""
    state: str
    """``disabled``, ``idle`` (no process), ``starting``, ``running`` or ``broken`` (it keeps failing)."""
    instances: int
    """Processes that serve it now."""


def info_of(pool: Pool) -> FunctionInfo:
    """The function of a pool."""
    running = [instance for instance in pool.instances if instance.state == State.READY]
    if not pool.source.settings.enabled:
        state = "disabled"
    elif running:
        state = "running"
    elif pool.serving:
        state = "starting"
    else:
        state = "broken" if pool.breaker.is_broken else "idle"
    return FunctionInfo(pool.slug, pool.source.settings, pool.kind, state, len(running))
