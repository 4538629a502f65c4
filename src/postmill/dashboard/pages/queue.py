"""One queue: how it stands, and what stops or clears it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources import queues
from postmill.dashboard.filters import segment
from postmill.dashboard.page import Done, View, action, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit


@page("/queues/{queue}", tab="Overview")
async def queue(visit: Visit) -> View:
    """The queue with its counts."""
    shown = await queues.show_queue(visit.desk, visit.in_path(queues.InQueue))
    return View(shown.queue, {"queue": shown})


@action("/queues/{queue}/pause", of=queue)
async def pause(visit: Visit) -> Done:
    """Stop workers from claiming."""
    asked = visit.in_path(queues.InQueue)
    await queues.pause_queue(visit.desk, asked, queues.Pause(visit.form.get("reason") or None))
    return Done(_page_of(asked), "The queue is paused. What runs goes on.")


@action("/queues/{queue}/resume", of=queue)
async def resume(visit: Visit) -> Done:
    """Let workers claim again."""
    asked = visit.in_path(queues.InQueue)
    await queues.resume_queue(visit.desk, asked)
    return Done(_page_of(asked), "Workers claim again.")


def _page_of(asked: queues.InQueue) -> str:
    return f"/queues/{segment(asked.queue)}"
