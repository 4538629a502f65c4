"""What a worker loses while people watch what it does, for ``bench dashboard``.

The people are a process on the same processors, which they are not in real life. So beside the drain that
nobody watches a process takes as much processor time as they did: what is left is what the dashboard costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from postmill.bench.dashboard_process import busy, cpu_s_of, dashboard_process, watching
from postmill.bench.drain import DrainOptions, work
from postmill.db.reads.versions import QUEUES
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.bench.dashboard_process import RunningDashboard
    from postmill.bench.dashboard_scene import Figures, Scene

VIEWERS = 20
"""People who watch the overview, as the promise has it."""
MOST = 200_000
"""Messages of one drain at most: some seconds of work."""


@dataclass(frozen=True, slots=True)
class _Drain:
    rate: float
    """Messages a second."""
    dashboard_core: float | None = None
    """Processor time of the dashboard and its sessions, as a share of one core; None: it is not known."""
    people_core: float | None = None
    """The same of the people."""


async def watched(scene: Scene, _: float) -> Figures:
    """The rate of a worker that drains a queue while 20 people have the overview open, over its rate while
    it is open on no screen: the median over pairs, of which every second ends with the people.
    """
    ratios, cores = [], []
    beside = _Drain(0.0)
    async with dashboard_process(scene.address) as dashboard:
        for number in range(scene.options.pairs):
            if number % 2:
                alone, beside = await _alone(scene, beside), await _seen(scene, dashboard)
            else:
                beside = await _seen(scene, dashboard)
                alone = await _alone(scene, beside)
            ratios.append(beside.rate / alone.rate)
            cores.append(beside.dashboard_core)
    known = [each for each in cores if each is not None]
    if not known:
        scene.not_measured["watched_core"] = "needs /proc, and the server on this machine"
    return {"watched_ratio": median(ratios), "watched_core": median(known) if known else None}


async def _seen(scene: Scene, dashboard: RunningDashboard) -> _Drain:
    options = await _filled(scene)
    async with watching(dashboard, [QUEUES], VIEWERS, asks=True) as people:
        before, began = await _cpu_s(scene, dashboard), perf_counter()
        people_s = cpu_s_of(people.pid)
        rate = await work(scene.place, options)
        took_s = perf_counter() - began
        after, people_then_s = await _cpu_s(scene, dashboard), cpu_s_of(people.pid)
    return _Drain(rate, _share(before, after, took_s), _share(people_s, people_then_s, took_s))


async def _alone(scene: Scene, seen: _Drain) -> _Drain:
    options = await _filled(scene)
    async with busy(seen.people_core or 0.0):
        return _Drain(await work(scene.place, options))


async def _filled(scene: Scene) -> DrainOptions:
    options = DrainOptions(
        messages=min(MOST, scene.options.messages), payload_bytes=scene.options.payload_bytes
    )
    await scene.place.fill(options.messages, options.payload_bytes)
    return options


async def _cpu_s(scene: Scene, dashboard: RunningDashboard) -> float | None:
    """Of the dashboard and of all its sessions, so far."""
    rows = await scene.place.connection.fetch(statement("bench_dashboard_sessions"))
    spent = [cpu_s_of(dashboard.process.pid), *(cpu_s_of(row["pid"]) for row in rows)]
    known = [each for each in spent if each is not None]
    return sum(known) if rows and len(known) == len(spent) else None


def _share(before: float | None, after: float | None, took_s: float) -> float | None:
    return None if before is None or after is None else (after - before) / took_s
