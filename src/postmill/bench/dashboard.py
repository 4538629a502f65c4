"""``bench dashboard``: what a dashboard reads, on large queues, and what its pages cost people who look at
them, the server and a worker. What is read stands beside a raw read of the same run.
"""

from __future__ import annotations

from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING

from postmill.bench.dashboard_live import screen, sigterm, viewers
from postmill.bench.dashboard_pages import cold, first_page, graph, overview_pages
from postmill.bench.dashboard_process import allow_streams
from postmill.bench.dashboard_reads import bulk, overviews, poll, searches, why
from postmill.bench.dashboard_scene import DashboardOptions, filled
from postmill.bench.dashboard_watched import watched
from postmill.bench.environment import environment
from postmill.bench.report import Report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.bench.dashboard_scene import Figures, Scene
    from postmill.model.config.address import Address

__all__ = ["DashboardOptions", "dashboard"]
FILES = 2_048
"""Connections that this process and those it starts may have open: 200 people watch, and many systems begin
with 256.
"""


async def dashboard(address: Address, options: DashboardOptions, say: Callable[[str], None]) -> Report:
    """All measures, one after the other; value: the overview, reference: a message read by its id."""
    figures: Figures = {}
    allow_streams(FILES)
    async with filled(address, options, say) as scene:
        around = await environment(scene.place.connection)
        raw_ms = median(scene.times_ms(lambda: scene.raw("bench_raw_read", options.messages // 2)))
        for measure in MEASURES:
            figures |= await measure(scene, raw_ms)
            say(f"{measure.__name__} measured")
    return Report(
        bench="dashboard",
        unit="ms",
        value=figures["overview_sql_p95_ms"] or 0.0,
        reference_name="a message by its id",
        reference=raw_ms,
        figures=figures,
        not_measured=scene.not_measured,
        settings=asdict(options),
        environment=around,
    )


MEASURES: tuple[Callable[[Scene, float], Awaitable[Figures]], ...] = (
    why,
    searches,
    poll,
    overview_pages,
    first_page,
    graph,
    screen,
    viewers,
    sigterm,
    bulk,
    watched,
    overviews,
    cold,
)
"""What is measured, in this order: the overview leaves dead rows, and a restart ends the connections."""
