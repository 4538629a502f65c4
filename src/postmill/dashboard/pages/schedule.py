"""One schedule: what it means, when it fires next in two zones, and what became of its last runs."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from postmill.api.resources import schedules
from postmill.dashboard.drawing.chart import strip
from postmill.dashboard.filters import segment
from postmill.dashboard.page import Done, View, action, page
from postmill.dashboard.pages.schedules import SIGNS, look
from postmill.model.schedule.recurrence import zone_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from postmill.dashboard.page import Visit

RUNS = 50
"""Runs in the strip: as many as are told apart in the width of a card on a telephone."""
FEW = 10
"""Runs in the list below the strip, unless all are asked for: the strip shows whether more are worth it."""


@page("/schedules/{schedule}", tab="Schedules")
async def schedule_page(visit: Visit) -> View:
    """The schedule; ``zone`` is the second zone in which its ticks are told."""
    path = visit.in_path(schedules.InSchedule)
    schedule = await schedules.show_schedule(visit.desk, path)
    found = await schedules.list_schedule_runs(visit.desk, path, schedules.Most(limit=RUNS))
    broken = schedule.problem is not None
    ticks = [] if broken else (await schedules.show_next_ticks(visit.desk, path, schedules.Count())).at
    other = visit.query.get("zone") or ("Europe/London" if schedule.timezone == "UTC" else "UTC")
    zone = zone_of(other)
    marks = [(run.status, f"{run.tick:%Y-%m-%d %H:%M:%S UTC}: {run.status}") for run in reversed(found.items)]
    return View(
        schedule.schedule,
        {
            "schedule": schedule,
            "runs": found.items if "all" in visit.query else found.items[:FEW],
            "more": "all" not in visit.query and len(found.items) > FEW,
            "total": len(found.items),
            "marks": strip([(look(status), title) for status, title in marks], RUNS),
            "places": RUNS,
            "ticks": [(tick, tick.astimezone(zone)) for tick in ticks],
            "zone": other,
            "change": clock_change(ticks),
            "signs": SIGNS,
            "looks": {run.status: look(run.status) for run in found.items},
        },
    )


def clock_change(ticks: Sequence[datetime]) -> str:
    """What the clocks of the schedule's zone do between these ticks, if anything."""
    for before, after in pairwise(ticks):
        moved = _offset_min(after) - _offset_min(before)
        if moved:
            way = "forward" if moved > 0 else "back"
            return (
                f"Between {before:%-d %b} and {after:%-d %b} clocks there go {way} by {abs(moved):.0f} min."
            )
    return ""


def _offset_min(tick: datetime) -> float:
    offset = tick.utcoffset()
    return 0.0 if offset is None else offset.total_seconds() / 60


@action("/schedules/{schedule}/run", of=schedule_page)
async def run(visit: Visit) -> Done:
    """Fire it now."""
    path = visit.in_path(schedules.InSchedule)
    await schedules.run_schedule(visit.desk, path)
    return _done(path, "was fired.")


@action("/schedules/{schedule}/pause", of=schedule_page)
async def pause(visit: Visit) -> Done:
    """Let it fire no more."""
    path = visit.in_path(schedules.InSchedule)
    await schedules.pause_schedule(visit.desk, path)
    return _done(path, "is paused: ticks that pass meanwhile are gone.")


@action("/schedules/{schedule}/resume", of=schedule_page)
async def resume(visit: Visit) -> Done:
    """Let it fire again."""
    path = visit.in_path(schedules.InSchedule)
    await schedules.resume_schedule(visit.desk, path)
    return _done(path, "fires again, from its next tick on.")


def _done(path: schedules.InSchedule, what: str) -> Done:
    return Done(f"/schedules/{segment(path.schedule)}", f"{path.schedule} {what}")
