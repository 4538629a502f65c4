"""How far a run is, for people who watch it: without what its steps have given, which may be megabytes,
unless one asks for a step.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from postmill.api.cursor import Limit
from postmill.api.resources.runs import InRun, ListedRun, Wait
from postmill.api.route import Named, resource
from postmill.api.shape import BigId, Payload
from postmill.db.reads import runs as reads

if TYPE_CHECKING:
    from postmill.api.desk import Desk

EVENTS = 50
"""Events that are shown unless more are asked for. Fifty: two screens, as in other lists."""


class StepProgress(Struct, kw_only=True):
    """How far a step is. ``needs``: the steps that must have ended before it; ``condition``: when it runs.
    ``tasks``: of a map, its items.
    """

    step: str
    kind: str
    state: str
    needs: list[str] | None = None
    condition: Payload = None
    tasks: int | None = None
    tasks_done: int | None = None
    attempts: int | None = None
    reason: str | None = None
    signal: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    undone_at: datetime | None = None


class Progress(ListedRun, kw_only=True):
    """A run, what it waits for, and its steps in order of definition; of a workflow those that were
    recorded.
    """

    kind: str
    priority: int | None = None
    parent_run: BigId | None = None
    parent_step: str | None = None
    forked_from: BigId | None = None
    input: Payload
    output: Payload = None
    waits: list[Wait]
    steps: list[StepProgress]


class FailedItem(Struct):
    """An item of a map that has failed."""

    item: int
    reason: str


class WholeStep(StepProgress, kw_only=True):
    """A step with what it was given, by parameter, and what it has given. Of a workflow's step the arguments
    are not kept. ``failed_items``: of a map, the first of them.
    """

    input: Payload = None
    output: Payload = None
    failed_items: list[FailedItem]


class InStep(InRun):
    """The path of a step."""

    step: Named


class RunEvent(Struct, kw_only=True):
    """Something that a run has said."""

    event_id: BigId
    step: str | None = None
    name: str
    value: Payload
    said_at: datetime


class RunEvents(Struct):
    """What a run has said, the latest first."""

    items: list[RunEvent]


class HowMany(Struct, forbid_unknown_fields=True):
    """How many events are listed."""

    limit: Limit = EVENTS


@resource("GET", "/runs/{run_id}/progress", out=Progress, in_path=InRun)
async def show_run_progress(desk: Desk, path: InRun) -> Progress:
    """One run with its steps, without what these have given."""
    row = await desk.read(reads.progress, int(path.run_id))
    steps = [desk.shaped(StepProgress, step) for step in row["steps"]]
    waits = [Wait(wait["step"], wait["signal"]) for wait in row["waits"]]
    return desk.shaped(Progress, {**row, "steps": steps, "waits": waits})


@resource("GET", "/runs/{run_id}/steps/{step}", out=WholeStep, in_path=InStep)
async def show_run_step(desk: Desk, path: InStep) -> WholeStep:
    """One step of a run with what it was given and has given."""
    row = await desk.read(reads.step, int(path.run_id), path.step)
    failed = [FailedItem(each["item"], each["reason"]) for each in row["failed_items"]]
    return desk.shaped(WholeStep, {**row, "failed_items": failed})


@resource("GET", "/runs/{run_id}/events", out=RunEvents, in_path=InRun, query=HowMany)
async def list_run_events(desk: Desk, path: InRun, query: HowMany) -> RunEvents:
    """What a run has said while it ran."""
    rows = await desk.read(reads.events, int(path.run_id), limit=query.limit)
    return RunEvents([desk.shaped(RunEvent, row) for row in rows])
