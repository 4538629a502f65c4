"""Functions of the host in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources import functions
from postmill.dashboard.page import View, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

SIGNS = {
    "running": "running",
    "idle": "ready",
    "starting": "scheduled",
    "outdated": "retrying",
    "blocked": "dead",
    "broken": "dead",
    "stopped": "cancelled",
    "disabled": "cancelled",
}
"""Of each state of a function, the sign of a message's state that looks alike."""


@page("/functions", tab="Functions")
async def functions_page(visit: Visit) -> View:
    """All, by name; without a host, where to look."""
    hosted = visit.desk.house.functions is not None
    found = (await functions.list_functions(visit.desk)).items if hosted else []
    return View("Functions", {"functions": found, "hosted": hosted, "signs": SIGNS})
