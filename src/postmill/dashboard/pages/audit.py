"""Audit: what people and programs have done through the API and these pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources import audit as resource
from postmill.dashboard.page import View, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit


@page("/audit", tab="Audit")
async def audit(visit: Visit) -> View:
    """The newest first."""
    query = visit.in_query(resource.Which)
    found = await resource.list_audit(visit.desk, query)
    return View(
        "Audit",
        {
            "actions": found.items,
            "next": found.next,
            "first": query.cursor is None,
            "asked": query.viewer or "",
        },
    )
