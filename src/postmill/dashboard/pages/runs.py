"""Runs of flows: which there are, found by flow, state and tag, and steered all at once."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlencode

from postmill.api.cursor import MOST_SHOWN, Page
from postmill.api.problem import Failure
from postmill.api.resources import flows, runs, steering
from postmill.dashboard.bodies import body
from postmill.dashboard.page import Done, View, action, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

STATES = get_args(runs.State)
DONE = {"cancel": "cancelled", "pause": "paused", "resume": "resumed", "retry": "retried"}
"""What each action does to a run, in a sentence."""
FILTERS = ("flow", "state", "tag")


@page("/runs", tab="Runs")
async def runs_page(visit: Visit) -> View:
    """The runs that match, newest first; with ``steer`` also how many that would be done to."""
    query = visit.in_query(runs.Which)
    found = await runs.list_runs(visit.desk, query)
    known = await flows.list_flows(visit.desk, Page(limit=MOST_SHOWN))
    asked = {name: visit.query[name] for name in FILTERS if visit.query.get(name)}
    shown = {**asked, **({"blocked": "true"} if query.blocked else {})}
    what = "" if query.blocked else visit.query.get("steer", "")  # all that match would be more than is shown
    meant = await _meant(visit, what, asked) if what in DONE and asked else None
    return View(
        "Runs",
        {
            "runs": found.items,
            "flows": [each.flow for each in known.items],
            "states": STATES,
            "asked": {name: asked.get(name, "") for name in FILTERS},
            "blocked": query.blocked,
            "filtered": bool(shown),
            "may_steer": bool(asked) and not query.blocked,
            "by_filter": urlencode(shown),
            "older": None if found.next is None else urlencode({**shown, "cursor": found.next}),
            "is_first": query.cursor is None,
            "does": DONE,
            "steer": what if meant is not None else "",
            "meant": meant,
        },
    )


async def _meant(visit: Visit, what: str, asked: dict[str, str]) -> list[steering.SteeredRun]:
    """The runs that it would be done to."""
    wanted = body(steering.Steer, {"action": what, "dry_run": True, **asked})
    return (await steering.steer_runs(visit.desk, wanted)).items


@action("/runs/steer", of=runs_page)
async def steer(visit: Visit) -> Done:
    """Do it to all that match, when their number was typed and is the same by now."""
    asked = {name: visit.form[name] for name in FILTERS if visit.form.get(name)}
    what = visit.form.get("action", "")
    typed = visit.typed("typed")
    if typed is None or typed != visit.form.get("meant"):
        raise Failure(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "not-confirmed",
            "Nothing was done.",
            why="The number that was typed is not that of the runs.",
            hint="Type it as it stands there.",
        )
    given = {"action": what, "reason": visit.form.get("reason"), "expected": typed, **asked}
    wanted = body(steering.Steer, given)
    done = (await steering.steer_runs(visit.desk, wanted)).items
    count = sum(each.done for each in done)
    return Done(
        f"/runs?{urlencode(asked)}", f"{count:,} {'run was' if count == 1 else 'runs were'} {DONE[what]}."
    )
