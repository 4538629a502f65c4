"""Flows that programs have registered."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from postmill.api.cursor import Page
from postmill.api.resources import flows
from postmill.dashboard.page import View, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit


@page("/flows", tab="Flows")
async def flows_page(visit: Visit) -> View:
    """Each with its newest version, by name."""
    query = visit.in_query(Page)
    found = await flows.list_flows(visit.desk, query)
    return View(
        "Flows",
        {
            "flows": found.items,
            "more": None if found.next is None else urlencode({"cursor": found.next}),
            "is_first": query.cursor is None,
        },
    )
