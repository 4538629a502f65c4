"""A function as commands and the gateway see it: its kind and its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from postmill.host.instance.instance import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.host.instance.instance import Instance
    from postmill.host.pool import Pool
    from postmill.model.functions.settings import FunctionSettings


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """One function as it is now."""

    slug: str
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


def info_of(pool: Pool) -> FunctionInfo:
    """The function of a pool."""
    running = [instance for instance in pool.instances if instance.state == State.READY]
    if not pool.source.settings.enabled:
        state = "disabled"
    elif running:
        state = _state_of(pool, running)
    elif pool.is_stopped:
        state = "stopped"
    elif pool.breaker.is_broken:
        state = "broken"
    else:
        state = "starting" if pool.serving or pool.is_failing else "idle"
    why = None if pool.failure is None else pool.failure.why or pool.failure.what
    return FunctionInfo(pool.slug, pool.source.settings, pool.kind, state, len(running), why)


def _state_of(pool: Pool, running: Sequence[Instance]) -> str:
    """Of one that serves."""
    if all(instance.is_blocked for instance in running):
        return "blocked"
    return "outdated" if pool.is_outdated else "running"
