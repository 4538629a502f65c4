"""Messages of a queue, by state; some of them are cancelled, or retried now."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, get_args

from postmill.api.cursor import MOST_SHOWN, Page
from postmill.api.problem import Failure
from postmill.api.resources import messages as resource
from postmill.api.resources import queues
from postmill.api.resources.queues import InQueue
from postmill.dashboard.filters import segment
from postmill.dashboard.page import Done, View, action, page
from postmill.dashboard.pages.many import KINDS, WORDS

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit


@page("/messages", tab="Messages")
async def choose_queue(visit: Visit) -> View:
    """Which queue: a list that is searched by its first letters."""
    found = await queues.list_queues(visit.desk, Page(limit=MOST_SHOWN))
    return View("Messages", {"queue": None, "queues": found.items})


@page("/queues/{queue}/messages", tab="Messages")
async def messages(visit: Visit) -> View:
    """Its messages of a state, or of all, the newest first."""
    asked, query = visit.in_path(InQueue), visit.in_query(resource.Which)
    found = await resource.list_messages(visit.desk, asked, query)
    return View(
        f"Messages of {asked.queue}",
        {
            "queue": asked.queue,
            "state_asked": query.state,
            "states": get_args(resource.State),
            "kinds": [(kind, WORDS[kind]) for kind in KINDS.get(query.state, ())],
            "messages": found.items,
            "next": found.next,
            "first": query.cursor is None,
        },
    )


@action("/queues/{queue}/messages/cancel", of=messages)
async def cancel(visit: Visit) -> Done:
    """Cancel those that are ticked."""
    asked, chosen = _chosen(visit)
    return _told(asked, await resource.cancel_messages(visit.desk, asked, chosen))


@action("/queues/{queue}/messages/retry", of=messages)
async def retry(visit: Visit) -> Done:
    """Run those that are ticked now."""
    asked, chosen = _chosen(visit)
    return _told(asked, await resource.retry_messages(visit.desk, asked, chosen))


def _chosen(visit: Visit) -> tuple[InQueue, resource.Chosen]:
    ids = visit.chosen.get("msg_id", [])
    if not ids or not all(each.isascii() and each.isdigit() for each in ids):
        raise Failure(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-option", "No message is ticked.")
    return visit.in_path(InQueue), resource.Chosen(ids)


def _told(asked: InQueue, done: resource.Outcomes) -> Done:
    counts = Counter(each.outcome for each in done.items)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    return Done(f"/queues/{segment(asked.queue)}/messages", f"{told}.".capitalize())
