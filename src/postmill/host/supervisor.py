"""Watches every instance: measures, asks the limits, acts; and keeps the workers running."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from postmill.host.instance.instance import State
from postmill.host.launch.usage import Measured, descendants, measure
from postmill.model.functions.limits import judge
from postmill.service.timed import TimedService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from postmill.host.instance.instance import Instance
    from postmill.host.pool import Pool
    from postmill.service.events import Events

TICK_S = 0.1
"""Seconds between two measurements of the isolates. 0.1 s: an isolate can be past its memory limit for no
longer than that before it is killed.
"""
FAMILIES_S = 1.0
"""Seconds between two counts of the processes that isolates have started. 1 s: the count reads every process
of the machine, so it is made less often than a measurement.
"""


class Supervisor(TimedService):
    """One round every ``TICK_S``."""

    def __init__(self, pools: Callable[[], Iterable[Pool]], events: Events) -> None:
        super().__init__(events)
        self._pools = pools
        self._families: dict[int, Measured] = {}
        self._families_at = 0.0
        self._round_at = time.monotonic()

    async def run_once(self) -> bool:
        """Look at every instance once. An error at one function is logged, and the others are looked at."""
        now = time.monotonic()
        elapsed_s, self._round_at = now - self._round_at, now
        pools = list(self._pools())
        self._count_families(pools, now)
        for pool in pools:
            try:
                self._look_at(pool, elapsed_s)
            except Exception as error:
                pool.failed(error)
        self._due_at = time.monotonic() + TICK_S
        return False

    def _look_at(self, pool: Pool, elapsed_s: float) -> None:
        pool.keep()
        for instance in list(pool.instances):
            if instance.state in (State.READY, State.RETIRED):
                if instance.pulse.round(elapsed_s, busy=not instance.is_idle):
                    pool.run(instance.tell_blocked())
                self._judge(pool, instance)

    def _judge(self, pool: Pool, instance: Instance) -> None:
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
            pool.run(pool.replace(instance, verdict.why))

    def _count_families(self, pools: list[Pool], now: float) -> None:
        if now - self._families_at >= FAMILIES_S:
            self._families_at = now
            pids = {instance.pid for pool in pools for instance in pool.instances if instance.pid}
            self._families = descendants(pids) if pids else {}
