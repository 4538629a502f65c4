"""What a worker loses while people watch what it does, for ``bench dashboard``."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from postmill.bench.dashboard_process import dashboard_process, watching
from postmill.bench.drain import DrainOptions, work
from postmill.db.reads.versions import QUEUES

if TYPE_CHECKING:
    from postmill.bench.dashboard_scene import Figures, Scene

VIEWERS = 20
"""People who watch the overview, as the promise has it."""
MOST = 200_000
"""Messages of one drain at most: some seconds of work."""


async def watched(scene: Scene, _: float) -> Figures:
    """The rate of a worker that drains a queue while 20 people have the overview open, over its rate while
    it is open on no screen: the median over pairs, of which every second begins with the people.
    """
    ratios = []
    async with dashboard_process(scene.address) as dashboard:

        async def seen() -> float:
            async with watching(dashboard, [QUEUES], VIEWERS, asks=True):
                return await _drained(scene)

        for number in range(scene.options.pairs):
            if number % 2:
                beside, alone = await seen(), await _drained(scene)
            else:
                alone, beside = await _drained(scene), await seen()
            ratios.append(beside / alone)
    return {"watched_ratio": median(ratios)}


async def _drained(scene: Scene) -> float:
    """Messages a second."""
    options = DrainOptions(
        messages=min(MOST, scene.options.messages), payload_bytes=scene.options.payload_bytes
    )
    await scene.place.fill(options.messages, options.payload_bytes)
    return await work(scene.place, options)
