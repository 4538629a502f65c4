"""HTTP requests that were asked for in SQL: what waits, what is in flight, how the hosts do."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args
from urllib.parse import urlencode

from postmill.api.resources import calls
from postmill.dashboard.page import View, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

STATES = get_args(calls.State)


@page("/calls", tab="Calls")
async def calls_page(visit: Visit) -> View:
    """Those that have not ended first; of one ``state`` where that is given."""
    query = visit.in_query(calls.Which)
    found = await calls.list_calls(visit.desk, query)
    hosts = await calls.list_call_hosts(visit.desk)
    kept = {} if query.state is None else {"state": query.state}
    return View(
        "Calls",
        {
            "calls": found.items,
            "hosts": hosts.items,
            "state": query.state or "",
            "states": STATES,
            "looks": {each.call_id: look(each) for each in found.items},
            "more": None if found.next is None else urlencode({**kept, "cursor": found.next}),
            "first": urlencode(kept),
            "is_first": query.cursor is None,
        },
    )


def look(call: calls.ListedCall) -> str:
    """The state of a message that looks like the call: an answer of 400 and above is none to be glad of."""
    if call.state == "answered":
        return "completed" if (call.status_code or 0) < 400 else "dead"
    return {"failed": "dead", "unknown": "cancelled"}.get(call.state, call.state)
