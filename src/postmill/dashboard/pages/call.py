"""One call and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources import calls
from postmill.dashboard.page import View, page
from postmill.dashboard.pages.calls import look

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit


@page("/calls/{call_id}", tab="Calls")
async def call_page(visit: Visit) -> View:
    """The call, while it is kept."""
    call = await calls.show_call(visit.desk, visit.in_path(calls.InCall))
    return View(f"Call {call.call_id}", {"call": call, "look": look(call)})
