"""Dead letters: those of a queue or of all; some are put back or deleted. What is done to all of a queue is
an operation.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from postmill.api.problem import Failure
from postmill.api.resources import dead_letters as resource
from postmill.api.resources.queues import InQueue
from postmill.dashboard.bodies import body
from postmill.dashboard.page import Done, View, action, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit


@page("/dead", tab="Dead letters")
async def dead(visit: Visit) -> View:
    """The latest first."""
    query = visit.in_query(resource.Which)
    found = await resource.list_dead_letters(visit.desk, query)
    return View(
        "Dead letters",
        {
            "letters": found.items,
            "next": found.next,
            "first": query.cursor is None,
            "queue": query.queue,
            "replayed": query.replayed,
        },
    )


@action("/dead/replay", of=dead)
async def replay(visit: Visit) -> Done:
    """Put back those that are ticked, one transaction a queue."""
    back = 0
    for queue, ids in _ticked(visit).items():
        done = await resource.replay_dead_letters(
            visit.desk, InQueue(queue), body(resource.Replay, {"letter_ids": ids})
        )
        back += sum(each.msg_id is not None for each in done.items)
    return Done("/dead", f"Put back: {back}.")


@action("/dead/discard", of=dead)
async def discard(visit: Visit) -> Done:
    """Delete those that are ticked."""
    gone = 0
    for queue, ids in _ticked(visit).items():
        done = await resource.discard_dead_letters(
            visit.desk, InQueue(queue), body(resource.Discard, {"letter_ids": ids})
        )
        gone += done.letters
    return Done("/dead", f"Deleted: {gone}.")


def _ticked(visit: Visit) -> dict[str, list[str]]:
    """The ids by queue; each box says both, as ``7/mail``."""
    found: dict[str, list[str]] = {}
    for each in visit.chosen.get("letter", []):
        number, _, queue = each.partition("/")
        if number.isascii() and number.isdigit() and queue:
            found.setdefault(queue, []).append(number)
    if not found:
        raise Failure(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-option", "No letter is ticked.")
    return found
