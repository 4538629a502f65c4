"""Worker processes, and having one stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from msgspec import Meta, Struct

from postmill.api.cursor import MOST_SHOWN, Limit, Page, after, paged
from postmill.api.route import resource
from postmill.api.shape import Moment
from postmill.db.reads import workers
from postmill.db.tools import operations

if TYPE_CHECKING:
    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection


class Worker(Struct, kw_only=True):
    """A worker: active, draining, silent or stopped."""

    worker_id: UUID
    worker: str
    queue: str
    state: str
    in_flight: int
    max_concurrent: int
    host: str
    pid: int
    heartbeat_age_s: float
    started_at: Moment
    stopped_at: Moment | None = None
    stop_reason: str | None = None
    version: str | None = None


class Workers(Struct):
    """Workers, the latest first."""

    items: list[Worker]
    next: str | None = None


class Which(Page, forbid_unknown_fields=True, kw_only=True):
    """Which workers are listed. ``all``: also those that stopped or are silent."""

    all: bool = False
    limit: Limit = MOST_SHOWN


class InWorker(Struct):
    """The path of a worker: its id, or how that begins."""

    worker_id: Annotated[str, Meta(pattern="^[0-9a-f-]{1,36}$", examples=["0198c5a1"])]


class Draining(Struct):
    """The worker that was asked to stop."""

    worker_id: UUID
    draining: bool = True


@resource("GET", "/workers", out=Workers, query=Which)
async def list_workers(desk: Desk, query: Which) -> Workers:
    """Workers that are alive: their heartbeat is at most 6 s old."""
    found = await desk.read(
        workers.listed, everyone=query.all, limit=query.limit + 1, behind=after(query, tuple[Moment, UUID])
    )
    rows, more = paged(found, query, lambda row: (row["started_at"], row["worker_id"]))
    return Workers([desk.shaped(Worker, row) for row in rows], more)


@resource("POST", "/workers/{worker_id}/drain", out=Draining, in_path=InWorker)
async def drain_worker(desk: Desk, path: InWorker) -> Draining:
    """Have a worker finish what it runs and stop, as on SIGTERM."""

    def drain(connection: Connection) -> Draining:
        return Draining(operations.drain_worker(connection, path.worker_id))

    return await desk.act("worker.drain", path, drain)
