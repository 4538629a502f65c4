"""Queues: what is in them, what stops or clears them, and how long they keep what is done."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from postmill.api.cursor import Page, after, paged
from postmill.api.route import Named, QueueName, resource
from postmill.api.shape import Moment
from postmill.db.reads import limits, overview
from postmill.db.tools import operations

if TYPE_CHECKING:
    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection

Seconds = Annotated[float, Meta(ge=0, le=36_525 * 86_400)]


class Queue(Struct, kw_only=True):
    """A queue and how many of its messages are in which state."""

    queue: str
    ready: int
    running: int
    retrying: int
    scheduled: int
    waiting: int
    dead: int
    """Counted up to 10,000: this number stands for so many or more."""
    total: int
    exact: bool
    """False: what is in the queue is estimated from some pages of its table."""
    oldest_ready_s: float | None = None
    oldest_waiting_s: float | None = None
    paused_at: Moment | None = None
    pause_reason: str | None = None
    workers: int = 0


class Queues(Struct, kw_only=True):
    """Queues, by name."""

    items: list[Queue]
    next: str | None = None


class InQueue(Struct):
    """The path of what belongs to a queue."""

    queue: Named


class NewQueue(Struct, forbid_unknown_fields=True):
    """A queue to make."""

    queue: QueueName


class MadeQueue(Struct):
    """``created`` is false when it was there already: it is left as it is."""

    queue: str
    created: bool


class Pause(Struct, forbid_unknown_fields=True):
    """Why a queue is paused."""

    reason: Annotated[str, Meta(max_length=500)] | None = None


class Paused(Struct):
    """Whether a queue is paused now."""

    queue: str
    paused: bool


class DryRun(Struct, forbid_unknown_fields=True):
    """With ``dry_run`` nothing is done; the answer says what would be."""

    dry_run: bool = False


class Purged(Struct):
    """How many messages were deleted; with ``purged`` false how many would be."""

    queue: str
    purged: bool
    messages: int


class Drop(Struct, forbid_unknown_fields=True):
    """``force``: also when dead letters are lost."""

    force: bool = False
    dry_run: bool = False


class Dropped(Struct):
    """What was lost with a queue; with ``dropped`` false what would be."""

    queue: str
    dropped: bool
    messages: int
    dead_letters: int


class Retention(Struct):
    """How long a queue keeps what is done, in seconds (null: for ever), and how many archived messages at
    most (null: any number).
    """

    queue: str
    archive_s: float | None = None
    history_s: float | None = None
    archive_max_rows: int | None = None


class Keep(Struct, forbid_unknown_fields=True):
    """``keep_s``: null is for ever. ``max_rows``: archived messages at most; null is any number."""

    keep_s: Seconds | None
    max_rows: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None


@resource("GET", "/queues", out=Queues, query=Page)
async def list_queues(desk: Desk, query: Page) -> Queues:
    """Queues with their counts, by name."""
    found = await desk.read(overview.names, limit=query.limit + 1, after=after(query, str))
    names, more = paged(found, query, _name)
    rows = await desk.read(overview.some, [_name(row) for row in names])
    return Queues(items=[desk.shaped(Queue, row) for row in rows], next=more)


@resource("POST", "/queues", out=MadeQueue, body=NewQueue, status=HTTPStatus.CREATED)
async def create_queue(desk: Desk, body: NewQueue) -> MadeQueue:
    """Make a queue, unless it is there."""

    def create(connection: Connection) -> MadeQueue:
        return MadeQueue(body.queue, operations.create_queue(connection, body.queue))

    return await desk.act("queue.create", body, create)


@resource("GET", "/queues/{queue}", out=Queue, in_path=InQueue)
async def show_queue(desk: Desk, path: InQueue) -> Queue:
    """One queue with its counts."""
    (row,) = await desk.read(overview.queues, path.queue)
    return desk.shaped(Queue, row)


@resource("DELETE", "/queues/{queue}", out=Dropped, in_path=InQueue, query=Drop)
async def drop_queue(desk: Desk, path: InQueue, query: Drop) -> Dropped:
    """Drop a queue with its messages, its archive and its history."""

    def drop(connection: Connection) -> Dropped:
        (row,) = overview.queues(connection, path.queue, exactly=True)
        if not query.dry_run:
            operations.drop_queue(connection, path.queue, force=query.force)
        return Dropped(path.queue, not query.dry_run, row["total"], row["dead"])

    if query.dry_run:
        return await desk.read(drop)
    return await desk.act("queue.drop", path, drop, count=lambda done: done.messages)


@resource("POST", "/queues/{queue}/purge", out=Purged, in_path=InQueue, body=DryRun)
async def purge_queue(desk: Desk, path: InQueue, body: DryRun) -> Purged:
    """Delete every message that is not running; archive and dead letters stay."""

    def count(connection: Connection) -> Purged:
        (row,) = overview.queues(connection, path.queue, exactly=True)
        return Purged(path.queue, purged=False, messages=row["total"] - row["running"])

    def purge(connection: Connection) -> Purged:
        return Purged(path.queue, purged=True, messages=operations.purge_queue(connection, path.queue))

    if body.dry_run:
        return await desk.read(count)
    return await desk.act("queue.purge", path, purge, count=lambda done: done.messages)


@resource("POST", "/queues/{queue}/pause", out=Paused, in_path=InQueue, body=Pause)
async def pause_queue(desk: Desk, path: InQueue, body: Pause) -> Paused:
    """Stop workers from claiming; what runs goes on, and sending works as before."""

    def pause(connection: Connection) -> Paused:
        operations.pause(connection, path.queue, body.reason)
        return Paused(path.queue, paused=True)

    return await desk.act("queue.pause", {"queue": path.queue, "reason": body.reason}, pause)


@resource("POST", "/queues/{queue}/resume", out=Paused, in_path=InQueue)
async def resume_queue(desk: Desk, path: InQueue) -> Paused:
    """Let workers claim again."""

    def resume(connection: Connection) -> Paused:
        operations.resume(connection, path.queue)
        return Paused(path.queue, paused=False)

    return await desk.act("queue.resume", path, resume)


@resource("GET", "/queues/{queue}/retention", out=Retention, in_path=InQueue)
async def show_retention(desk: Desk, path: InQueue) -> Retention:
    """How long a queue keeps what is done."""
    return await desk.read(_retention, desk, path.queue)


@resource("PUT", "/queues/{queue}/retention", out=Retention, in_path=InQueue, body=Keep)
async def set_retention(desk: Desk, path: InQueue, body: Keep) -> Retention:
    """Say how long a queue keeps what is done."""

    def keep(connection: Connection) -> Retention:
        operations.set_retention(connection, path.queue, body.keep_s, body.max_rows)
        return _retention(connection, desk, path.queue)

    target = {"queue": path.queue, "keep_s": body.keep_s, "max_rows": body.max_rows}
    return await desk.act("queue.retention", target, keep)


def _retention(connection: Connection, desk: Desk, queue: str) -> Retention:
    overview.queues(connection, queue)  # refuses one that is not there
    return desk.shaped(Retention, {"queue": queue, **limits.retention(connection, queue)})


def _name(row: dict[str, Any]) -> str:
    return str(row["queue"])
