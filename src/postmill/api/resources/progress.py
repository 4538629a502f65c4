"""How far a run is, for people who watch it: without what its steps have given, which may be megabytes,
unless one asks for a step.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from postmill.api.cursor import Limit
from postmill.api.resources.runs import InRun, ListedRun, Wait
from postmill.api.route import Named, resource
from postmill.api.shape import BigId, Payload, shaped, whole
from postmill.db.reads import runs as reads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection

    Hide = Callable[[Any], Any]

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


class WhichStep(Struct, forbid_unknown_fields=True):
    """The step that is looked at, if one is."""

    step: Named | None = None


class Revealed(Struct):
    """A run, the step that is looked at, and what the run has said, the latest first."""

    run: Progress
    step: WholeStep | None
    events: list[RunEvent]


class HowMany(Struct, forbid_unknown_fields=True):
    """How many events are listed."""

    limit: Limit = EVENTS


@resource("GET", "/runs/{run_id}/progress", out=Progress, in_path=InRun)
async def show_run_progress(desk: Desk, path: InRun) -> Progress:
    """One run with its steps, without what these have given."""
    return _progress(await desk.read(reads.progress, int(path.run_id)), desk.house.hide)


@resource("POST", "/runs/{run_id}/progress/reveal", out=Revealed, in_path=InRun, body=WhichStep)
async def reveal_run_progress(desk: Desk, path: InRun, body: WhichStep) -> Revealed:
    """One run with a step and its events, with their secrets; the audit says that a viewer has seen them."""
    run_id = int(path.run_id)

    def reveal(connection: Connection) -> Revealed:
        return Revealed(
            _progress(reads.progress(connection, run_id), whole),
            None if body.step is None else _step(reads.step(connection, run_id, body.step), whole),
            _events(reads.events(connection, run_id, limit=EVENTS), whole),
        )

    return await desk.reveal("run.reveal", {"run_id": path.run_id, "step": body.step}, reveal)


@resource("GET", "/runs/{run_id}/steps/{step}", out=WholeStep, in_path=InStep)
async def show_run_step(desk: Desk, path: InStep) -> WholeStep:
    """One step of a run with what it was given and has given."""
    return _step(await desk.read(reads.step, int(path.run_id), path.step), desk.house.hide)


@resource("GET", "/runs/{run_id}/events", out=RunEvents, in_path=InRun, query=HowMany)
async def list_run_events(desk: Desk, path: InRun, query: HowMany) -> RunEvents:
    """What a run has said while it ran."""
    rows = await desk.read(reads.events, int(path.run_id), limit=query.limit)
    return RunEvents(_events(rows, desk.house.hide))


def _progress(row: Mapping[str, Any], hide: Hide) -> Progress:
    steps = [shaped(StepProgress, step, hide) for step in row["steps"]]
    waits = [Wait(wait["step"], wait["signal"]) for wait in row["waits"]]
    return shaped(Progress, {**row, "steps": steps, "waits": waits}, hide)


def _step(row: Mapping[str, Any], hide: Hide) -> WholeStep:
    failed = [FailedItem(each["item"], each["reason"]) for each in row["failed_items"]]
    return shaped(WholeStep, {**row, "failed_items": failed}, hide)


def _events(rows: Iterable[Mapping[str, Any]], hide: Hide) -> list[RunEvent]:
    return [shaped(RunEvent, row, hide) for row in rows]
