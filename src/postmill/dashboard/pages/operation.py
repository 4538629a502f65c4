"""One operation: how far it is, what became of each message, and its end before its time."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from postmill.api.resources import operations as resource
from postmill.dashboard.page import Done, View, action, page
from postmill.dashboard.pages.operations import LOOKS, come_to
from postmill.model.search.condition import OF_LETTERS

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

LEFT = ("failed", "refused", "skipped", "running", "busy", "gone")
"""Outcomes of messages to which nothing was done: those that a person looks for."""


@page("/operations/{operation_id}", tab="Operations")
async def operation_page(visit: Visit) -> View:
    """How it stands, with its messages, or those with one ``outcome``."""
    path, query = visit.in_path(resource.InOperation), visit.in_query(resource.WhichRows)
    shown = await resource.show_operation(visit.desk, path)
    found = await resource.list_operation_rows(visit.desk, path, query)
    kept = {} if query.outcome is None else {"outcome": query.outcome}
    return View(
        f"Operation {shown.operation_id}",
        {
            "operation": shown,
            "look": LOOKS.get(shown.state, shown.state),
            "come_to": come_to(shown),
            "about_letters": shown.kind in OF_LETTERS,
            "rows": found.items,
            "outcome": query.outcome,
            "outcomes": LEFT,
            "next": found.next,
            "first": query.cursor is None,
            "kept": urlencode([*kept.items(), ("cursor", "")]),
        },
    )


@action("/operations/{operation_id}/abort", of=operation_page)
async def abort(visit: Visit) -> Done:
    """End it where it is."""
    ended = await resource.abort_operation(visit.desk, visit.in_path(resource.InOperation))
    notice = "It ends where it is." if ended.state == "aborted" else f"It had ended before: {ended.state}."
    return Done(f"/operations/{ended.operation_id}", notice)
