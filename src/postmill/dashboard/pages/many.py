"""All messages or dead letters of a queue that match: how many they are, and, once the queue's name is typed,
the operation that is about exactly those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from postmill.api.resources import messages, operations
from postmill.api.resources.queues import InQueue
from postmill.dashboard.bodies import body, json_typed
from postmill.dashboard.page import Done, View, action, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

KINDS = {
    None: ("retry", "cancel"),
    "scheduled": ("retry", "cancel"),
    "ready": ("cancel",),
    "running": ("cancel",),
    "retrying": ("retry", "cancel"),
    "waiting": ("cancel",),
    "dead": ("replay", "discard"),
}
"""What can be done to all messages of a state; to what is completed or cancelled, nothing."""
WORDS = {"retry": "Retry now", "cancel": "Cancel", "replay": "Put back", "discard": "Delete"}
"""What the buttons say."""


class InMany(InQueue):
    """The path of what may be done to many."""

    kind: operations.Kind


class Asked(msgspec.Struct, kw_only=True):
    """Which messages. ``filter`` is JSON, as it was typed."""

    state: messages.State | None = None
    filter: str = ""


@page("/queues/{queue}/many/{kind}", tab="Messages")
async def many(visit: Visit) -> View:
    """How many match."""
    path, asked = visit.in_path(InMany), visit.in_query(Asked)
    condition = _condition(asked)
    wanted = body(operations.NewOperation, {"kind": path.kind, "filter": condition})
    plan = await operations.plan_operation(visit.desk, InQueue(path.queue), wanted)
    return View(
        f"{WORDS[path.kind]}: {path.queue}",
        {
            "queue": path.queue,
            "kind": path.kind,
            "word": WORDS[path.kind],
            "asked": asked,
            "condition": condition,
            "plan": plan,
            "sent_with": urlencode(_given(asked)),
        },
    )


@action("/queues/{queue}/many/{kind}", of=many)
async def start(visit: Visit) -> Done:
    """Ask for the operation, about what was counted."""
    path, asked = visit.in_path(InMany), visit.in_query(Asked)
    visit.check_typed(path.queue)
    typed = {name: visit.typed(name) for name in ("per_second", "upper_id", "expected")}
    wanted = body(operations.NewOperation, {"kind": path.kind, "filter": _condition(asked), **typed})
    made = await operations.start_operation(visit.desk, InQueue(path.queue), wanted)
    return Done(f"/operations/{made.operation_id}", f"Operation {made.operation_id} has begun.")


def _condition(asked: Asked) -> Any:
    """The filter as an operation has it. What is no object is refused where the body is made."""
    typed = json_typed(asked.filter)
    given = {} if typed is None else msgspec.json.decode(typed)
    return {"state": [asked.state], **given} if asked.state and isinstance(given, dict) else given


def _given(asked: Asked) -> dict[str, str]:
    return {name: text for name, text in (("state", asked.state), ("filter", asked.filter)) if text}
