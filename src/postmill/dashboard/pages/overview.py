"""Overview: what is wrong now, and every queue in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources.overview import show_overview
from postmill.dashboard.page import View, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

STATES = ("ready", "running", "retrying", "scheduled", "waiting", "dead")
MOST_SHOWN = 500
"""Queues of the page at most. Above, a person filters by name: 500 lines are some ten screens."""


@page("/", tab="Overview")
async def overview(visit: Visit) -> View:
    """The queues whose names contain what was asked for, and their sums."""
    asked = visit.query.get("q", "").strip()
    found = await show_overview(visit.desk)
    matching = [each for each in found.queues if asked in each.queue]
    totals = [(state, sum(getattr(each, state) for each in matching)) for state in STATES]
    return View(
        "Overview",
        {
            "queues": matching[:MOST_SHOWN],
            "left_out": max(0, len(matching) - MOST_SHOWN),
            "any": bool(found.queues),
            "asked": asked,
            "totals": totals,
            "workers": sum(each.workers for each in matching),
            "exact": all(each.exact for each in matching),
            "problems": found.problems,
        },
    )
