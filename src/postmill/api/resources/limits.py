"""How many messages of a queue or a group run at once or start in a time, and which come first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from postmill.api.resources.queues import InQueue, Seconds
from postmill.api.route import Named, resource
from postmill.api.shape import Moment
from postmill.client import Client
from postmill.db.reads import limits, overview

if TYPE_CHECKING:
    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection

Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Limit(Struct, kw_only=True):
    """A limit and how it stands. ``group_key``: empty for the whole queue, null for each group by itself."""

    group_key: str | None
    max_running: int | None = None
    starts: int | None = None
    per_s: float | None = None
    running: int | None = None
    waiting: int | None = None
    next_start_at: Moment | None = None


class Limits(Struct):
    """All limits of a queue: its own, that of each group, those of single groups."""

    items: list[Limit]


class NewLimit(Struct, forbid_unknown_fields=True, kw_only=True):
    """All of a limit: what is left out is removed. ``starts`` and ``per_s`` go together."""

    max_running: Count | None = None
    starts: Count | None = None
    per_s: Seconds | None = None


class NewGroupLimit(NewLimit, forbid_unknown_fields=True, kw_only=True):
    """The same for a group; without ``group_key`` for each group by itself."""

    group_key: Named | None = None


class Priority(Struct, forbid_unknown_fields=True):
    """``aging_s``: how much waiting counts as a step of priority."""

    aging_s: Seconds | None = None


class Served(Struct):
    """Whether workers take messages of a higher priority first."""

    queue: str
    priority: bool


@resource("GET", "/queues/{queue}/limits", out=Limits, in_path=InQueue)
async def list_limits(desk: Desk, path: InQueue) -> Limits:
    """The limits of a queue and of its groups, and how they stand."""
    return await desk.read(_limits, desk, path.queue)


@resource("PUT", "/queues/{queue}/limits", out=Limits, in_path=InQueue, body=NewLimit)
async def limit_queue(desk: Desk, path: InQueue, body: NewLimit) -> Limits:
    """Limit a queue over all its workers; what runs is not interrupted."""

    def limit(connection: Connection) -> Limits:
        Client(connection).limit_queue(
            path.queue, max_running=body.max_running, starts=body.starts, per=body.per_s
        )
        return _limits(connection, desk, path.queue)

    return await desk.act("queue.limit", _target(path, body), limit)


@resource("PUT", "/queues/{queue}/group-limits", out=Limits, in_path=InQueue, body=NewGroupLimit)
async def limit_groups(desk: Desk, path: InQueue, body: NewGroupLimit) -> Limits:
    """Limit each group of a queue, or one."""

    def limit(connection: Connection) -> Limits:
        Client(connection).limit_groups(
            path.queue,
            group_key=body.group_key,
            max_running=body.max_running,
            starts=body.starts,
            per=body.per_s,
        )
        return _limits(connection, desk, path.queue)

    return await desk.act("queue.limit_groups", {**_target(path, body), "group_key": body.group_key}, limit)


@resource("PUT", "/queues/{queue}/priority", out=Served, in_path=InQueue, body=Priority)
async def enable_priority(desk: Desk, path: InQueue, body: Priority) -> Served:
    """Let workers take messages of a higher priority first. This makes an index on the queue's table; sends,
    claims and settlements wait while it is built.
    """

    def enable(connection: Connection) -> Served:
        Client(connection).enable_priority(path.queue, aging=body.aging_s)
        return Served(path.queue, priority=True)

    return await desk.act("queue.priority", {"queue": path.queue, "aging_s": body.aging_s}, enable)


@resource("DELETE", "/queues/{queue}/priority", out=Served, in_path=InQueue)
async def disable_priority(desk: Desk, path: InQueue) -> Served:
    """Let workers take messages in the order of their ids again."""

    def disable(connection: Connection) -> Served:
        Client(connection).disable_priority(path.queue)
        return Served(path.queue, priority=False)

    return await desk.act("queue.priority", {"queue": path.queue, "off": True}, disable)


def _limits(connection: Connection, desk: Desk, queue: str) -> Limits:
    overview.queues(connection, queue)  # refuses one that is not there
    return Limits([desk.shaped(Limit, row) for row in limits.of_queue(connection, queue)])


def _target(path: InQueue, body: NewLimit) -> dict[str, object]:
    return {
        "queue": path.queue,
        "max_running": body.max_running,
        "starts": body.starts,
        "per_s": body.per_s,
    }
