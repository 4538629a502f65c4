"""One message: where it is, what became of each attempt, what it holds, and what can be done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources import messages as resource
from postmill.api.resources.queues import InQueue
from postmill.dashboard.filters import segment
from postmill.dashboard.page import Done, View, action, page
from postmill.dashboard.timeline import timeline

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

WAITING = ("scheduled", "ready", "retrying", "waiting")


@page("/queues/{queue}/messages/{msg_id}", tab="Messages")
async def message(visit: Visit) -> View:
    """The message, without its secrets."""
    return _view(await resource.show_message(visit.desk, visit.in_path(resource.InMessage)))


@action("/queues/{queue}/messages/{msg_id}/reveal", of=message)
async def reveal(visit: Visit) -> View:
    """The message with its secrets. The audit says who has seen them."""
    shown = await resource.reveal_message(visit.desk, visit.in_path(resource.InMessage))
    return _view(shown, revealed=True)


@action("/queues/{queue}/messages/{msg_id}/cancel", of=message)
async def cancel(visit: Visit) -> Done:
    """Take it out, or ask its handler to stop."""
    asked = visit.in_path(resource.InMessage)
    done = await resource.cancel_messages(visit.desk, InQueue(asked.queue), resource.Chosen([asked.msg_id]))
    told = {
        "cancelled": "The message is cancelled.",
        "requested": "It runs: its handler is asked to stop.",
        "not found": "It is done already, and can't be cancelled.",
    }
    return Done(_address(asked), told[done.items[0].outcome])


@action("/queues/{queue}/messages/{msg_id}/retry", of=message)
async def retry(visit: Visit) -> Done:
    """Run it now."""
    asked = visit.in_path(resource.InMessage)
    done = await resource.retry_messages(visit.desk, InQueue(asked.queue), resource.Chosen([asked.msg_id]))
    told = {
        "ready": "The message is ready to run.",
        "replayed": "It is sent again, as a new message.",
        "skipped": "It is not sent again: another message has its unique key.",
        "running": "It runs already.",
        "not found": "It is not there any more.",
    }
    return Done(_address(asked), told[done.items[0].outcome])


def _view(shown: resource.Message, *, revealed: bool = False) -> View:
    return View(
        f"Message {shown.msg_id} of {shown.queue}",
        {
            "message": shown,
            "revealed": revealed,
            "may_cancel": shown.state in (*WAITING, "running"),
            "may_retry": shown.state in {"scheduled", "retrying", "dead"},
            "line": timeline(shown),
        },
    )


def _address(asked: resource.InMessage) -> str:
    return f"/queues/{segment(asked.queue)}/messages/{asked.msg_id}"
