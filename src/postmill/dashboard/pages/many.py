"""All messages or dead letters of a queue that match a search: how many they are, and, once the queue's name
is typed, the operation that is about exactly those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from postmill.api.resources import operations
from postmill.api.resources.queues import InQueue
from postmill.dashboard.bodies import body
from postmill.dashboard.page import Done, View, action, page
from postmill.model.search import condition

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

KINDS = {
    None: ("retry", "cancel", "move"),
    "scheduled": ("retry", "cancel", "move"),
    "ready": ("cancel", "move"),
    "running": ("cancel",),
    "retrying": ("retry", "cancel", "move"),
    "waiting": ("cancel",),
    "dead": ("replay", "discard"),
}
"""What can be done to all messages of a state; to what is completed or cancelled, nothing."""
WORDS = {
    "retry": "Retry now",
    "cancel": "Cancel",
    "move": "Move",
    "replay": "Put back",
    "discard": "Delete",
}
"""What the buttons say."""


class InMany(InQueue):
    """The path of what may be done to many."""

    kind: condition.Kind


class Asked(msgspec.Struct, kw_only=True):
    """Which messages, and where a move goes."""

    q: str = ""
    target: str = ""


@page("/queues/{queue}/many/{kind}", tab="Messages")
async def many(visit: Visit) -> View:
    """How many match."""
    path, asked = visit.in_path(InMany), visit.in_query(Asked)
    plan = None
    if asked.target or path.kind != "move":
        plan = await operations.plan_operation(visit.desk, InQueue(path.queue), _body(path, asked))
    counted = Asked(q=plan.search or "" if plan else "", target=asked.target)
    return View(
        f"{WORDS[path.kind]}: {path.queue}",
        {
            "queue": path.queue,
            "kind": path.kind,
            "of_letters": path.kind in condition.OF_LETTERS,
            "word": WORDS[path.kind],
            "asked": asked,
            "plan": plan,
            "sent_with": urlencode({k: text for k, text in msgspec.structs.asdict(counted).items() if text}),
        },
    )


@action("/queues/{queue}/many/{kind}", of=many)
async def start(visit: Visit) -> Done:
    """Ask for the operation, about what was counted."""
    path, asked = visit.in_path(InMany), visit.in_query(Asked)
    visit.check_typed(path.queue)
    typed = {name: visit.typed(name) for name in ("per_second", "upper_id", "expected")}
    made = await operations.start_operation(visit.desk, InQueue(path.queue), _body(path, asked, **typed))
    return Done(f"/operations/{made.operation_id}", f"Operation {made.operation_id} has begun.")


def _body(path: InMany, asked: Asked, **typed: str | None) -> operations.NewOperation:
    given = {"kind": path.kind, "search": asked.q.strip(), "target": asked.target.strip()}
    return body(operations.NewOperation, {**given, **typed})
