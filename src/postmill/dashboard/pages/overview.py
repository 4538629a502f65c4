"""Overview: every queue in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources import queues
from postmill.dashboard.page import View, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit


@page("/", tab="Overview")
async def overview(visit: Visit) -> View:
    """The queues whose names contain what was asked for, and their sums."""
    asked = visit.query.get("q", "").strip()
    everything = (await queues.list_queues(visit.desk)).items
    shown = [each for each in everything if asked in each.queue]
    states = ("ready", "running", "retrying", "scheduled", "waiting", "dead")
    totals = [(state, sum(getattr(each, state) for each in shown)) for state in states]
    exact = all(each.exact for each in shown)
    return View(
        "Overview",
        {"queues": shown, "any": bool(everything), "asked": asked, "totals": totals, "exact": exact},
    )
