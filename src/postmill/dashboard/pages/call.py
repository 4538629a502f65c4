"""One call and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources import calls
from postmill.dashboard.page import View, action, page
from postmill.dashboard.pages.calls import look

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit


@page("/calls/{call_id}", tab="Calls")
async def call_page(visit: Visit) -> View:
    """The call, while it is kept."""
    return _view(await calls.show_call(visit.desk, visit.in_path(calls.InCall)))


@action("/calls/{call_id}/reveal", of=call_page)
async def reveal(visit: Visit) -> View:
    """The call and its answer with their secrets. The audit says who has seen them."""
    return _view(await calls.reveal_call(visit.desk, visit.in_path(calls.InCall)), revealed=True)


def _view(call: calls.Call, *, revealed: bool = False) -> View:
    return View(f"Call {call.call_id}", {"call": call, "look": look(call), "revealed": revealed})
