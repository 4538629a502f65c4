"""One queue: how it stands, and what stops, fills or clears it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from postmill.api.problem import Failure
from postmill.api.resources import history, limits, messages, payload_types, queues, schedules, workers
from postmill.dashboard.bodies import body, payload_typed
from postmill.dashboard.filters import has_secrets, segment, whole
from postmill.dashboard.page import Done, View, action, page
from postmill.dashboard.pages.schedules import SIGNS as SCHEDULE_SIGNS
from postmill.dashboard.pages.schedules import meaning
from postmill.dashboard.pages.workers import SIGNS as WORKER_SIGNS
from postmill.dashboard.past import IN_WORDS, past
from postmill.model.queue.addressee import TASK_HEADER

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

FEW = 5
"""Recent messages that a new one can be made like. Five: one of each kind is among them in most queues."""


@page("/queues/{queue}", tab="Overview", shares=("queue:{queue}", "workers", "schedules", "dead"))
async def queue(visit: Visit) -> View:
    """The queue with its counts, its past, its limits, its workers, and the schedules that send to it."""
    desk, asked = visit.desk, visit.in_path(queues.InQueue)
    shown = await queues.show_queue(desk, asked)
    alive = await workers.list_workers(desk, workers.Which())
    gone_by = await history.show_history(desk, asked, visit.in_query(history.Back))
    feeding = await schedules.schedules_to(desk, shown.queue)
    latest = await messages.list_messages(desk, asked, messages.Which(limit=FEW))
    return View(
        shown.queue,
        {
            "queue": shown,
            "past": past(gone_by),
            "spans": IN_WORDS,
            "limits": (await limits.list_limits(desk, asked)).items,
            "retention": await queues.show_retention(desk, asked),
            "workers": [each for each in alive.items if each.queue == shown.queue],
            "schedules": feeding,
            "means": {each.schedule: meaning(each.recurrence) for each in feeding},
            "schedule_signs": SCHEDULE_SIGNS,
            "worker_signs": WORKER_SIGNS,
            "latest": [each for each in latest.items if not has_secrets(each.message)],
            "like": await _like(visit, asked),
            "types": (await payload_types.list_payload_types(desk, asked)).items,
        },
    )


async def _like(visit: Visit, asked: queues.InQueue) -> str:
    """The payload of the message that a new one is made like."""
    if not visit.query.get("like"):
        return ""
    asked_like = visit.in_query(messages.InMessage, queue=asked.queue, msg_id=visit.query["like"])
    shown = await messages.show_message(visit.desk, asked_like)
    return "" if has_secrets(shown.message) else whole(shown.message)


@action("/queues/{queue}/limit", of=queue)
async def limit(visit: Visit) -> Done:
    """Limit the queue, each group of it, or one."""
    asked = visit.in_path(queues.InQueue)
    of = visit.form.get("of", "queue")
    numbers = {name: visit.typed(name) for name in ("max_running", "starts", "per_s")}
    if of == "queue":
        await limits.limit_queue(visit.desk, asked, body(limits.NewLimit, numbers))
    else:
        typed = {**numbers, "group_key": visit.typed("group_key") if of == "group" else None}
        await limits.limit_groups(visit.desk, asked, body(limits.NewGroupLimit, typed))
    return Done(_address(asked), "The limit holds from the next claim on.")


@action("/queues/{queue}/workers/{worker_id}/drain", of=queue)
async def drain(visit: Visit) -> Done:
    """Have a worker of the queue finish what it runs and stop."""
    told = await workers.drain_worker(visit.desk, visit.in_path(workers.InWorker))
    address = _address(visit.in_path(queues.InQueue))
    return Done(address, f"Worker {str(told.worker_id)[:8]} finishes what it runs and stops.")


@action("/queues/{queue}/pause", of=queue)
async def pause(visit: Visit) -> Done:
    """Stop workers from claiming."""
    asked = visit.in_path(queues.InQueue)
    await queues.pause_queue(visit.desk, asked, queues.Pause(visit.typed("reason")))
    return Done(_address(asked), "The queue is paused. What runs goes on.")


@action("/queues/{queue}/resume", of=queue)
async def resume(visit: Visit) -> Done:
    """Let workers claim again."""
    asked = visit.in_path(queues.InQueue)
    await queues.resume_queue(visit.desk, asked)
    return Done(_address(asked), "Workers claim again.")


@action("/queues/{queue}/purge", of=queue)
async def purge(visit: Visit) -> Done:
    """Delete what does not run, once its name is typed."""
    asked = visit.in_path(queues.InQueue)
    visit.check_typed(asked.queue)
    done = await queues.purge_queue(visit.desk, asked, queues.DryRun())
    return Done(_address(asked), f"{done.messages:,} messages were deleted.")


@action("/queues/{queue}/send", of=queue)
async def send(visit: Visit) -> Done:
    """Send one message."""
    asked, task = visit.in_path(queues.InQueue), visit.typed("task")
    body = messages.NewMessage(
        message=payload_typed(visit.form.get("message", "")),
        delay_s=_number(visit.typed("delay_s"), "The delay"),
        unique_key=visit.typed("unique_key"),
        headers={TASK_HEADER: task} if task else None,
        check="unchecked" not in visit.form,
    )
    sent = await messages.send_message(visit.desk, asked, body)
    notice = "was there already" if sent.existed else "was sent"
    return Done(f"{_address(asked)}/messages/{sent.msg_id}", f"Message {sent.msg_id} {notice}.")


def _number(text: str | None, what: str) -> float | None:
    try:
        return None if text is None else msgspec.convert(text, queues.Seconds, strict=False)
    except msgspec.ValidationError as error:
        raise Failure(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid-option",
            f"{what} is no number of seconds.",
            why=f"{error}.",
        ) from error


def _address(asked: queues.InQueue) -> str:
    return f"/queues/{segment(asked.queue)}"
