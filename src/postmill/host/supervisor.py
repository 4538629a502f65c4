"""Watches every instance: measures, asks the limits, acts; and keeps the workers running."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from postmill.host.instance import State
from postmill.host.usage import Measured, descendants, measure
from postmill.model.function_limits import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from postmill.host.instance import Instance
    from postmill.host.pool import Pool

TICK_S = 0.1
FAMILIES_S = 1.0
"""How often the processes that isolates have started are counted too."""
_LOGGER = logging.getLogger("postmill")


class Supervisor:
    """One round every ``TICK_S``."""

    def __init__(self, pools: Callable[[], Iterable[Pool]]) -> None:
        self._pools = pools
        self._task: asyncio.Task[None] | None = None
        self._families: dict[int, Measured] = {}
        self._families_at = 0.0

    def start(self) -> None:
        """Begin."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def run_once(self) -> None:
        """Look at every instance once."""
        pools = list(self._pools())
        self._count_families(pools)
        for pool in pools:
            pool.keep()
            for instance in list(pool.instances):
                if instance.state in (State.READY, State.RETIRED):
                    self._look(pool, instance)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self.run_once()
            except Exception:
                _LOGGER.exception("the supervisor's round failed")

    def _look(self, pool: Pool, instance: Instance) -> None:
        own = measure(instance.pid)
        if own is None:
            return
        used = own.plus(self._families.get(instance.pid, Measured()))
        verdict = judge(instance.usage(used), instance.settings.limits)
        if verdict.kill is not None:
            instance.kill(verdict.kill)
            return
        if verdict.warn is not None:
            instance.warn(verdict.warn)
        if verdict.retire and not instance.replacing:
            pool.run(pool.replace(instance, verdict.warn.value if verdict.warn else "limit"))

    def _count_families(self, pools: list[Pool]) -> None:
        now = time.monotonic()
        if now - self._families_at >= FAMILIES_S:
            self._families_at = now
            pids = {instance.pid for pool in pools for instance in pool.instances if instance.pid}
            self._families = descendants(pids) if pids else {}
