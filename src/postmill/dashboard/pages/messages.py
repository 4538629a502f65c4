"""Messages of a queue, by state or by a search; some of them are cancelled, or retried now."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlencode

from postmill.api.cursor import MOST_SHOWN, Page
from postmill.api.problem import Failure, problem_of
from postmill.api.resources import messages as resource
from postmill.api.resources import queues, search
from postmill.api.resources.queues import InQueue
from postmill.dashboard.bodies import body
from postmill.dashboard.filters import segment
from postmill.dashboard.page import Done, View, action, page
from postmill.dashboard.pages.many import KINDS, WORDS
from postmill.model.errors import InvalidSearch
from postmill.model.search.language import parse

if TYPE_CHECKING:
    from postmill.api.problem import Problem
    from postmill.dashboard.page import Visit

TERMS = (
    ("state:dead", "its state: scheduled, ready, running, retrying, waiting, completed, dead or cancelled"),
    ("error:Timeout", "a failed attempt has this in its error"),
    ("since:1h", "sent then or later: 90s, 15min, 12h, 30d, or 2030-01-31T14:00Z"),
    ("before:1h", "sent earlier"),
    ("id:40..50", "its id: one, or from one to another"),
    ("payload.user.id=7", "a place of its payload has this value"),
    ("header.x=1", "a header has this value"),
    ("worker:0198c", "it runs on the worker whose id begins so"),
    ('"two words"', "a text in its payload"),
)
"""What a search may say, and what it means; with one of each the search box completes what was typed."""


@page("/messages", tab="Messages")
async def choose_queue(visit: Visit) -> View:
    """Which queue: a list that is searched by its first letters."""
    found = await queues.list_queues(visit.desk, Page(limit=MOST_SHOWN))
    return View("Messages", {"queue": None, "queues": found.items})


@page("/queues/{queue}/messages", tab="Messages")
async def messages(visit: Visit) -> View:
    """Its messages of a state, those that match a search, or all, the newest first."""
    asked, q = visit.in_path(InQueue), visit.query.get("q", "").strip()
    title = f"Messages of {asked.queue}"
    if q:
        try:
            return View(title, await _found(visit, asked, q) | {"indexed": await _indexed(visit, asked)})
        except InvalidSearch as error:
            return _refused(title, asked, q, problem_of(error), error.at)
        except Failure as error:
            return _refused(title, asked, q, error.problem)
    query = visit.in_query(resource.Which)
    found = await resource.list_messages(visit.desk, asked, query)
    values: dict[str, Any] = {
        "state_asked": query.state,
        "messages": found.items,
        "next": found.next,
        "first": query.cursor is None,
        "indexed": await _indexed(visit, asked),
    }
    return View(title, _values(asked, f"state:{query.state}" if query.state else "", query.state) | values)


async def _indexed(visit: Visit, asked: InQueue) -> list[str]:
    """The places that searches find by an index."""
    found = await search.list_search_indexes(visit.desk, search.OfQueue(asked.queue))
    return sorted({each.place for each in found.items})


async def _found(visit: Visit, asked: InQueue, q: str) -> dict[str, Any]:
    """What a page shows of a search."""
    state, query = parse(q).state, visit.in_query(search.Sought, q=q)
    found = await search.search_messages(visit.desk, asked, query)
    first = query.before is None
    is_over = first and not found.rows and found.next_below is None
    is_empty = (
        is_over and not (await resource.list_messages(visit.desk, asked, resource.Which(limit=1))).items
    )
    shown = {"messages": found.rows, "looked": found, "first": first, "q": q, "is_empty": is_empty}
    return _values(asked, q, state) | shown


def _refused(title: str, asked: InQueue, q: str, problem: Problem, at: int | None = None) -> View:
    """The search as it was typed, and where it means nothing."""
    wrong = None if at is None else (q[:at], *(q[at:].partition(" ")[::2]))
    return View(title, _values(asked, q) | {"q": q, "wrong": wrong, "is_refused": True}, problem)


def _values(asked: InQueue, typed: str, state: str | None = None) -> dict[str, Any]:
    """What every form of the page has. ``typed`` stands in its search box."""
    return {
        "queue": asked.queue,
        "typed_search": typed,
        "terms": TERMS,
        "indexed": [],
        "states": get_args(resource.State),
        "kinds": [(kind, WORDS[kind]) for kind in KINDS.get(state, ())],
        "messages": [],
        "state_asked": None,
        "q": "",
        "looked": None,
        "next": None,
        "first": True,
        "wrong": None,
        "is_refused": False,
        "is_empty": True,
    }


@action("/queues/{queue}/messages/cancel", of=messages)
async def cancel(visit: Visit) -> Done:
    """Cancel those that are ticked."""
    asked, chosen = _chosen(visit)
    return _told(visit, asked, await resource.cancel_messages(visit.desk, asked, chosen))


@action("/queues/{queue}/messages/retry", of=messages)
async def retry(visit: Visit) -> Done:
    """Run those that are ticked now."""
    asked, chosen = _chosen(visit)
    return _told(visit, asked, await resource.retry_messages(visit.desk, asked, chosen))


def _chosen(visit: Visit) -> tuple[InQueue, resource.Chosen]:
    ids = visit.chosen.get("msg_id", [])
    if not ids:
        raise Failure(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-option", "No message is ticked.")
    return visit.in_path(InQueue), body(resource.Chosen, {"msg_ids": ids})


def _told(visit: Visit, asked: InQueue, done: resource.Outcomes) -> Done:
    searched = urlencode({name: visit.query[name] for name in ("q", "state") if visit.query.get(name)})
    counts = Counter(each.outcome for each in done.items)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    return Done(
        f"/queues/{segment(asked.queue)}/messages{'?' if searched else ''}{searched}", f"{told}.".capitalize()
    )
