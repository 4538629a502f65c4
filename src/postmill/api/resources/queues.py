"""Queues: what is in them, and what stops or clears them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct, convert

from postmill.api.route import QueueName, resource
from postmill.db.tools import operations, reads

if TYPE_CHECKING:
    from postmill.api.desk import Desk


class Queue(Struct, kw_only=True):
    """A queue and how many of its messages are in which state."""

    queue: str
    ready: int
    running: int
    retrying: int
    scheduled: int
    waiting: int
    dead: int
    total: int
    exact: bool
    """False: some figures are estimates or bounds."""
    oldest_ready_s: float | None
    oldest_waiting_s: float | None
    paused_at: datetime | None
    pause_reason: str | None
    workers: int


class Queues(Struct, kw_only=True):
    """All queues, by name."""

    items: list[Queue]


class InQueue(Struct):
    """The path of what belongs to a queue."""

    queue: QueueName


class Pause(Struct, forbid_unknown_fields=True):
    """Why a queue is paused."""

    reason: Annotated[str, Meta(max_length=500)] | None = None


@resource("GET", "/queues", out=Queues)
async def list_queues(desk: Desk) -> Queues:
    """Every queue with its counts."""
    return Queues(items=[_queue(row) for row in await desk.read(reads.queues)])


@resource("GET", "/queues/{queue}", out=Queue, in_path=InQueue)
async def show_queue(desk: Desk, path: InQueue) -> Queue:
    """One queue."""
    (row,) = await desk.read(reads.queues, path.queue)
    return _queue(row)


@resource("POST", "/queues/{queue}/pause", out=Queue, in_path=InQueue, body=Pause)
async def pause_queue(desk: Desk, path: InQueue, body: Pause) -> Queue:
    """Stop workers from claiming; what runs goes on."""
    await desk.act("queue.pause", operations.pause, path.queue, body.reason)
    return await show_queue(desk, path)


@resource("POST", "/queues/{queue}/resume", out=Queue, in_path=InQueue)
async def resume_queue(desk: Desk, path: InQueue) -> Queue:
    """Let workers claim again."""
    await desk.act("queue.resume", operations.resume, path.queue)
    return await show_queue(desk, path)


def _queue(row: dict[str, Any]) -> Queue:
    return convert(row, Queue)
