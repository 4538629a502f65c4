"""Operations: what was done to many messages at once, and how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from postmill.api.resources import operations as resource
from postmill.dashboard.page import View, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

LOOKS = {"queued": "scheduled", "done": "completed", "aborted": "cancelled"}
"""The state of a message that each state of an operation looks like; the others are named alike."""


@page("/operations", tab="Operations")
async def operations(visit: Visit) -> View:
    """The newest first; with ``running`` those that have not ended."""
    query = visit.in_query(resource.Which)
    found = await resource.list_operations(visit.desk, query)
    kept = {"running": "true"} if query.running else {}
    return View(
        "Operations",
        {
            "operations": found.items,
            "running": query.running,
            "looks": LOOKS,
            "come_to": {each.operation_id: come_to(each) for each in found.items},
            "next": found.next,
            "first": query.cursor is None,
            "kept": urlencode([*kept.items(), ("cursor", "")]),
        },
    )


def come_to(operation: resource.Operation) -> int:
    """How many messages it has come to, whatever became of them."""
    return operation.done + operation.skipped + operation.failed + operation.busy
