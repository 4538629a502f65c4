"""Schedules: what each means, when it fires next and what became of the last time."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from postmill.api.cursor import Page
from postmill.api.resources import schedules
from postmill.dashboard.page import View, page
from postmill.model.errors import InvalidOption
from postmill.model.schedule.recurrence import recurrence

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

SIGNS = {"active": "completed", "paused": "paused", "broken": "dead"}
"""Of each state of a schedule, the sign that looks alike."""
LOOKS = {
    "sent": "ready",
    "pending": "ready",
    "running": "running",
    "succeeded": "completed",
    "failed": "dead",
    "cancelled": "cancelled",
    "skipped": "cancelled",
}
"""Of each status of a run of a schedule, the sign that looks alike."""


@page("/schedules", tab="Schedules")
async def schedules_page(visit: Visit) -> View:
    """All, by name."""
    query = visit.in_query(Page)
    found = await schedules.list_schedules(visit.desk, query)
    return View(
        "Schedules",
        {
            "schedules": found.items,
            "means": {each.schedule: meaning(each.recurrence) for each in found.items},
            "signs": SIGNS,
            "look": look,
            "more": None if found.next is None else urlencode({"cursor": found.next}),
            "is_first": query.cursor is None,
        },
    )


def meaning(when: str) -> str:
    """The recurrence in plain English; as it stands where it can't be read."""
    try:
        return recurrence(when).explain()
    except InvalidOption:
        return when


def look(status: str) -> str:
    """The state of a message that looks like the status of a run."""
    return LOOKS.get(status, "scheduled")
