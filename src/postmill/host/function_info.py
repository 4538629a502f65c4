"""What a pool of instances says of its function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.host.instance.instance import State
from postmill.model.functions.function_info import FunctionInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.host.instance.instance import Instance
    from postmill.host.pool import Pool


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
