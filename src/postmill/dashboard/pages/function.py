"""One function: how it does, its last lines, and calling it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources import functions
from postmill.dashboard.bodies import body
from postmill.dashboard.drawing.chart import bars
from postmill.dashboard.filters import segment
from postmill.dashboard.page import Done, View, action, page
from postmill.dashboard.pages.functions import SIGNS

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

LAST_HOUR = 60
"""Bars of the chart, one a minute: as far back as the host remembers."""
METHODS = ("POST", "GET", "PUT", "PATCH", "DELETE")


@page("/functions/{function}", tab="Functions")
async def function_page(visit: Visit) -> View:
    """The function as its host in this process knows it."""
    return await _view(visit)


@action("/functions/{function}/call", of=function_page)
async def call(visit: Visit) -> View:
    """Send it a request, and show the answer on its page."""
    typed = {
        "method": visit.form.get("method"),
        "path": visit.typed("path"),
        "body": visit.form.get("body"),
        "headers": {"content-type": visit.typed("type") or "application/json"},
    }
    path = visit.in_path(functions.InFunction)
    answer = await functions.call_function(visit.desk, path, body(functions.FunctionCall, typed))
    return await _view(visit, answer)


async def _view(visit: Visit, answer: functions.Answer | None = None) -> View:
    found = await functions.show_function(visit.desk, visit.in_path(functions.InFunction))
    return View(
        found.function,
        {
            "function": found,
            "signs": SIGNS,
            "answer": answer,
            "asked": {name: visit.form.get(name, "") for name in ("method", "path", "type", "body")},
            "methods": METHODS,
            "requests": sum(each.requests for each in found.minutes),
            "errors": sum(each.errors for each in found.minutes),
            "chart": bars(by_minute(found.minutes)),
        },
    )


def by_minute(minutes: list[functions.Requests]) -> dict[str, list[float]]:
    """The last hour up to the latest minute with a request: answers, and failures on top of them."""
    if not minutes:
        return {"completed": [], "failed": []}
    last = minutes[-1].minute
    completed, failed = [0.0] * LAST_HOUR, [0.0] * LAST_HOUR
    for each in minutes:
        place = LAST_HOUR - 1 - int((last - each.minute).total_seconds() // 60)
        if place >= 0:
            completed[place], failed[place] = each.requests - each.errors, each.errors
    return {"completed": completed, "failed": failed}


@action("/functions/{function}/start", of=function_page)
async def start(visit: Visit) -> Done:
    """Start it."""
    return _done(await functions.start_function(visit.desk, visit.in_path(functions.InFunction)))


@action("/functions/{function}/recycle", of=function_page)
async def recycle(visit: Visit) -> Done:
    """Replace every process of it."""
    return _done(await functions.recycle_function(visit.desk, visit.in_path(functions.InFunction)))


@action("/functions/{function}/stop", of=function_page)
async def stop(visit: Visit) -> Done:
    """Stop every process of it."""
    return _done(await functions.stop_function(visit.desk, visit.in_path(functions.InFunction)))


def _done(told: functions.Told) -> Done:
    return Done(f"/functions/{segment(told.function)}", f"{told.function} was {told.status}.")
