"""Errors: failed attempts that are alike, the one seen last first."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from postmill.api.resources import errors as resource
from postmill.dashboard.drawing.chart import bars
from postmill.dashboard.page import View, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

LOOKS = {"open": "dead", "ignored": "cancelled", "resolved": "completed"}
"""The state of a message that each state of an error looks like."""


@page("/errors", tab="Errors")
async def errors(visit: Visit) -> View:
    """Those that are open, or with ``all`` also those that were decided about; of one queue or of every."""
    query = visit.in_query(resource.Which)
    query.open = "all" not in visit.query
    found = await resource.list_errors(visit.desk, query)
    return View(
        "Errors",
        {
            "errors": found.items,
            "next": found.next,
            "first": query.cursor is None,
            "looks": LOOKS,
            "hours": {each.fingerprint: bars({"bad": each.last_24_hours}) for each in found.items},
            "queue": query.queue,
            "open": query.open,
            "of_queue": urlencode({"queue": query.queue}) if query.queue else "",
        },
    )
