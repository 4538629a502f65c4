"""Runs of flows: lists, one with its steps, what has changed, and starting one."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from postmill.api.cursor import Page, Whole, after, paged
from postmill.api.resources.queues import Seconds
from postmill.api.route import Named, resource
from postmill.api.shape import BigId, Moment, Payload, shaped, unless_given, whole
from postmill.client import Client
from postmill.db.tools import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection

State: TypeAlias = Literal["running", "waiting", "paused", "undoing", "completed", "failed", "cancelled"]


class ListedRun(Struct, kw_only=True):
    """A run as lists show it. ``blocked`` says in words why it does not go on by itself."""

    run_id: BigId
    flow: str
    version: int
    state: str
    blocked: str | None = None
    culprit: str | None = None
    reason: str | None = None
    key: str | None = None
    tags: list[str]
    started_at: Moment
    ended_at: Moment | None = None
    deadline: Moment | None = None


class Runs(Struct):
    """Runs, the newest first."""

    items: list[ListedRun]
    next: str | None = None


class Step(Struct, kw_only=True):
    """A step of a run."""

    step: str
    kind: str
    state: str
    tasks: int | None = None
    tasks_done: int | None = None
    attempts: int | None = None
    reason: str | None = None
    signal: str | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    took_s: float | None = None
    output: Payload = None


class Run(ListedRun, kw_only=True):
    """One run with its input, its steps and what they gave."""

    kind: str
    priority: int | None = None
    waits_for: list[str] | None = None
    parent_run: BigId | None = None
    parent_step: str | None = None
    forked_from: BigId | None = None
    input: Payload
    output: Payload = None
    steps: list[Step]


class InRun(Struct):
    """The path of a run."""

    run_id: BigId


class Which(Page, forbid_unknown_fields=True, kw_only=True):
    """Which runs are listed. ``blocked``: those that do not go on by themselves."""

    flow: Named | None = None
    state: State | None = None
    tag: Named | None = None
    blocked: bool = False


class Since(Struct, forbid_unknown_fields=True):
    """``next`` of the read before; without it all there is."""

    since: BigId | None = None


class Changes(Struct):
    """What has changed, oldest first, each with ``what`` (run, step or event); and where to go on."""

    next: BigId
    changes: list[Payload]


class Wait(Struct):
    """A signal that a run waits for; of a workflow without a step."""

    step: str | None
    signal: str


class Waits(Struct):
    """What a run waits for now."""

    items: list[Wait]


class NewRun(Struct, forbid_unknown_fields=True, kw_only=True):
    """A run to start. ``key``: one run of the flow has it; a second start gives that run."""

    flow: Named
    input: msgspec.Raw = unless_given(b"{}")
    key: Named | None = None
    delay_s: Seconds | None = None
    deadline_s: Seconds | None = None
    tags: Annotated[list[Named], Meta(max_length=100)] = []
    priority: Annotated[int, Meta(ge=0, le=9)] | None = None
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class StartedRun(Struct):
    """The run."""

    run_id: BigId
    flow: str


@resource("GET", "/runs", out=Runs, query=Which)
async def list_runs(desk: Desk, query: Which) -> Runs:
    """Runs, the newest first, with what holds them up."""
    found = await desk.read(
        runs.listed,
        runs.Filter(query.flow, query.state, query.tag),
        blocked=query.blocked,
        limit=query.limit + 1,
        before=after(query, Whole),
    )
    rows, more = paged(found, query, lambda row: row["run_id"])
    return Runs([desk.shaped(ListedRun, row) for row in rows], more)


@resource("POST", "/runs", out=StartedRun, body=NewRun, status=HTTPStatus.CREATED)
async def start_run(desk: Desk, body: NewRun) -> StartedRun:
    """Start a run of a flow."""
    desk.check_whole(bytes(body.input))
    options: Any = {
        "key": body.key,
        "delay": body.delay_s,
        "deadline": body.deadline_s,
        "tags": body.tags,
        "priority": body.priority,
        "version": body.version,
    }

    def start(connection: Connection) -> StartedRun:
        run_id = Client(connection).runs.start(body.flow, body.input, **options)
        return StartedRun(str(run_id), body.flow)

    return await desk.act("run.start", {"flow": body.flow, "key": body.key}, start)


@resource("GET", "/runs/{run_id}", out=Run, in_path=InRun)
async def show_run(desk: Desk, path: InRun) -> Run:
    """One run with its steps and what they gave."""
    return _run(await desk.read(runs.one, int(path.run_id)), desk.house.hide)


@resource("POST", "/runs/{run_id}/reveal", out=Run, in_path=InRun)
async def reveal_run(desk: Desk, path: InRun) -> Run:
    """One run with its secrets; the audit says that a viewer has seen them."""

    def reveal(connection: Connection) -> Run:
        return _run(runs.one(connection, int(path.run_id)), whole)

    return await desk.reveal("run.reveal", path, reveal)


@resource("GET", "/runs/{run_id}/changes", out=Changes, in_path=InRun, query=Since)
async def list_run_changes(desk: Desk, path: InRun, query: Since) -> Changes:
    """What has changed of a run since the last read. One change may be told twice, none is left out."""
    begin, changes = await desk.read(runs.changes, int(path.run_id), query.since)
    return Changes(begin, [desk.house.hide(change) for change in changes])


@resource("GET", "/runs/{run_id}/waits", out=Waits, in_path=InRun)
async def list_run_waits(desk: Desk, path: InRun) -> Waits:
    """The signals that a run waits for."""

    def read(connection: Connection) -> list[dict[str, Any]]:
        runs.one(connection, int(path.run_id))  # refuses one that is not there
        return runs.waits(connection, int(path.run_id))

    return Waits([Wait(row["step"], row["signal"]) for row in await desk.read(read)])


def _run(row: dict[str, Any], hide: Callable[[Any], Any]) -> Run:
    return shaped(Run, {**row, "steps": [shaped(Step, step, hide) for step in row["steps"]]}, hide)
