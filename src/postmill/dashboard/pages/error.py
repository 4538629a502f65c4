"""One error: since when and how often it is seen, its latest failed attempts, what is decided about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources import errors as resource
from postmill.dashboard.bodies import body
from postmill.dashboard.drawing.chart import bars
from postmill.dashboard.page import Done, View, action, page
from postmill.dashboard.pages.errors import LOOKS

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit


@page("/errors/{fingerprint}", tab="Errors")
async def error_page(visit: Visit) -> View:
    """The error with its attempts by hour."""
    shown = await resource.show_error(visit.desk, visit.in_path(resource.InError))
    return View(
        f"Error {shown.fingerprint}",
        {
            "error": shown,
            "look": LOOKS[shown.state],
            "hours": bars({"dead": shown.last_24_hours}),
            "in_a_day": sum(shown.last_24_hours),
            "days": bars({"dead": shown.last_30_days}),
            "in_30_days": sum(shown.last_30_days),
        },
    )


@action("/errors/{fingerprint}/resolve", of=error_page)
async def resolve(visit: Visit) -> Done:
    """Say that it is mended."""
    done = await resource.decide_error(
        visit.desk, visit.in_path(resource.InError), resource.Decision("resolved")
    )
    return Done(_address(done.fingerprint), "It is resolved, and open again if it is seen again.")


@action("/errors/{fingerprint}/ignore", of=error_page)
async def ignore(visit: Visit) -> Done:
    """Say that nothing need be done."""
    done = await resource.decide_error(
        visit.desk, visit.in_path(resource.InError), resource.Decision("ignored")
    )
    return Done(_address(done.fingerprint), "It is ignored, however often it is seen.")


@action("/errors/{fingerprint}/reopen", of=error_page)
async def reopen(visit: Visit) -> Done:
    """Say that it is open."""
    done = await resource.decide_error(visit.desk, visit.in_path(resource.InError), resource.Decision("open"))
    return Done(_address(done.fingerprint), "It is open.")


@action("/errors/{fingerprint}/retry", of=error_page)
async def retry(visit: Visit) -> Done:
    """Try again all that failed so."""
    asked = visit.in_path(resource.InError)
    wanted = body(resource.Retry, {"per_second": visit.typed("per_second")})
    started = (await resource.retry_error(visit.desk, asked, wanted)).items
    match started:
        case []:
            return Done(_address(asked.fingerprint), "No message waits, and no letter is dead of it.")
        case [one]:
            return Done(f"/operations/{one.operation_id}", f"Operation {one.operation_id} has begun.")
    return Done("/operations", f"{len(started)} operations have begun.")


def _address(fingerprint: str) -> str:
    return f"/errors/{fingerprint}"
