"""Overview: what is wrong now, and every queue in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.cursor import MOST_SHOWN, Page
from postmill.api.resources.overview import show_overview
from postmill.dashboard.drawing.chart import curve
from postmill.dashboard.filters import segment
from postmill.dashboard.page import View, page
from postmill.db.reads.versions import QUEUES

if TYPE_CHECKING:
    from postmill.api.resources.overview import FoundProblem
    from postmill.dashboard.page import Visit

STATES = ("ready", "running", "retrying", "scheduled", "waiting", "dead")
PLACES = {
    "dead letters": ("Dead letters", "/dead"),
    "calls": ("Failed calls", "/calls?state=failed"),
    "schedules": ("Schedules", "/schedules"),
    "flows": ("Blocked runs", "/runs?blocked=true"),
}
"""Of each check: the page where a person goes on about what it has found, unless it names queues."""
FEW = 4
"""Queues of a finding that are linked. Four fit beside what it says; it names them all."""
SHOWN = 100
"""Queues of a page. A hundred: two screens, and one look of a tenth of a second also among ten thousand."""


@page("/", tab="Overview", shares=(QUEUES, "workers"))
async def overview(visit: Visit) -> View:
    """The busiest queues, or those of the 200 busiest whose names contain what was asked for."""
    asked = visit.query.get("q", "").strip()
    query = visit.in_query(Page)
    query.limit = MOST_SHOWN if asked else SHOWN
    found = await show_overview(visit.desk, query)
    matching = [each for each in found.queues if asked in each.queue]
    whole = query.cursor is None and found.next is None
    return View(
        "Overview",
        {
            "queues": matching,
            "curves": {each.queue: curve(each.last_hour) for each in matching if any(each.last_hour)},
            "any": bool(found.queues),
            "asked": asked,
            "next": found.next,
            "first": query.cursor is None,
            "totals": [(name, sum(getattr(each, name) for each in matching)) for name in STATES],
            "most_dead": max((each.dead for each in matching), default=0),
            "workers": sum(each.workers for each in matching),
            "whole": whole,
            "exact": all(each.exact for each in matching),
            "problems": found.problems,
            "remedies": [remedies(each) for each in found.problems],
        },
    )


def remedies(found: FoundProblem) -> list[tuple[str, str]]:
    """Where a person goes on about it: names and paths."""
    if found.about:
        return [(queue, f"/queues/{segment(queue)}") for queue in found.about[:FEW]]
    return [PLACES[found.check]] if found.check in PLACES else []
