"""What is done to runs of flows: cancel, pause, resume, retry, fork, signal, approve, export and import."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from postmill.api.problem import Failure
from postmill.api.resources.queues import Seconds
from postmill.api.resources.runs import InRun, StartedRun
from postmill.api.route import Named, resource
from postmill.api.shape import ABSENT, BigId, Payload, unless_given
from postmill.db.tools import runs
from postmill.model.queue.payload import loads, to_json

if TYPE_CHECKING:
    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection


class Reason(Struct, forbid_unknown_fields=True):
    """Why, for people that look at it later."""

    reason: Annotated[str, Meta(max_length=500)] | None = None


class SteeredRun(Struct):
    """A run, and whether anything was done to it."""

    run_id: BigId
    flow: str
    state: str
    done: bool


class SteeredRuns(Struct):
    """All runs that are meant."""

    items: list[SteeredRun]


class Steer(Struct, forbid_unknown_fields=True, kw_only=True):
    """What to do, and to which runs: those that match all that is given, at most 10,000. ``expected``: how
    many they were in a dry run; when they are more or fewer by now, nothing is done.
    """

    action: Literal["cancel", "pause", "resume", "retry"]
    flow: Named | None = None
    state: Named | None = None
    tag: Named | None = None
    older_than_s: Seconds | None = None
    reason: Annotated[str, Meta(max_length=500)] | None = None
    expected: Annotated[int, Meta(ge=0, le=runs.MOST_STEERED)] | None = None
    dry_run: bool = False


class Fork(Struct, forbid_unknown_fields=True, kw_only=True):
    """``step``: it and what needs it are done anew; without it all. ``input`` in place of the run's;
    ``outputs`` of steps that are done, by step.
    """

    step: Named | None = None
    input: msgspec.Raw = unless_given(b"")
    outputs: dict[str, msgspec.Raw] | None = None


class Signal(Struct, forbid_unknown_fields=True, kw_only=True):
    """A signal. ``many``: one of a queue; each wait for it gets the next one."""

    name: Named
    value: msgspec.Raw = unless_given(b"null")
    many: bool = False


class Approval(Struct, forbid_unknown_fields=True, kw_only=True):
    """The answer to the approval that a run waits for. ``step``: which of several waits."""

    value: msgspec.Raw = unless_given(b"true")
    step: Named | None = None


class SentSignal(Struct):
    """The signal that the run has taken."""

    run_id: BigId
    signal: str


class Document(Struct):
    """A run with all that is kept of it, to be imported elsewhere."""

    document: Payload


class NewDocument(Struct, forbid_unknown_fields=True):
    """A run that was exported."""

    document: msgspec.Raw


@resource("POST", "/runs/{run_id}/cancel", out=SteeredRun, in_path=InRun, body=Reason)
async def cancel_run(desk: Desk, path: InRun, body: Reason) -> SteeredRun:
    """End a run as cancelled. What it has done is not undone."""
    return await _steer(desk, "cancel", path, body.reason)


@resource("POST", "/runs/{run_id}/pause", out=SteeredRun, in_path=InRun, body=Reason)
async def pause_run(desk: Desk, path: InRun, body: Reason) -> SteeredRun:
    """Let a run start nothing more until it is resumed."""
    return await _steer(desk, "pause", path, body.reason)


@resource("POST", "/runs/{run_id}/resume", out=SteeredRun, in_path=InRun)
async def resume_run(desk: Desk, path: InRun) -> SteeredRun:
    """Let a paused run go on."""
    return await _steer(desk, "resume", path)


@resource("POST", "/runs/{run_id}/retry", out=SteeredRun, in_path=InRun)
async def retry_run(desk: Desk, path: InRun) -> SteeredRun:
    """Let a failed run go on: what has succeeded stays."""
    return await _steer(desk, "retry", path)


@resource("POST", "/runs/steer", out=SteeredRuns, body=Steer)
async def steer_runs(desk: Desk, body: Steer) -> SteeredRuns:
    """Do it to all runs that match and can do it, in one transaction."""
    wanted = runs.Filter(body.flow, body.state, body.tag, body.older_than_s)
    if wanted.is_empty:
        raise Failure(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid-payload",
            "Every run there is would be meant.",
            hint="Give flow, state, tag or older_than_s.",
        )

    def steer(connection: Connection) -> SteeredRuns:
        found = runs.steer(
            connection, body.action, wanted, body.reason, dry_run=body.dry_run, expected=body.expected
        )
        if not found and wanted.flow is not None:
            runs.flow(connection, wanted.flow)  # refuses one that is not there
        return SteeredRuns([desk.shaped(SteeredRun, row) for row in found])

    if body.dry_run:
        return await desk.read(steer)
    target = {name: value for name, value in msgspec.to_builtins(body).items() if name != "dry_run"}
    return await desk.act(
        f"run.{body.action}", target, steer, count=lambda done: sum(each.done for each in done.items)
    )


@resource("POST", "/runs/{run_id}/fork", out=StartedRun, in_path=InRun, body=Fork, status=HTTPStatus.CREATED)
async def fork_run(desk: Desk, path: InRun, body: Fork) -> StartedRun:
    """Start a new run that is as this one outside of a step and what needs it."""
    given = None if body.input == ABSENT else _text(desk, body.input)
    outputs = None if body.outputs is None else _text(desk, msgspec.Raw(msgspec.json.encode(body.outputs)))

    def fork(connection: Connection) -> StartedRun:
        made = runs.fork(connection, int(path.run_id), body.step, given, outputs)
        return StartedRun(str(made), runs.one(connection, made)["flow"])

    target = {"run_id": path.run_id, "step": body.step, "edited": bool(given or outputs)}
    return await desk.act("run.fork", target, fork)


@resource("POST", "/runs/{run_id}/signals", out=SentSignal, in_path=InRun, body=Signal)
async def signal_run(desk: Desk, path: InRun, body: Signal) -> SentSignal:
    """Send a run a signal."""
    value = _text(desk, body.value)

    def send(connection: Connection) -> SentSignal:
        runs.signal(connection, int(path.run_id), body.name, value, many=body.many)
        return SentSignal(path.run_id, body.name)

    return await desk.act("run.signal", {"run_id": path.run_id, "signal": body.name}, send)


@resource("POST", "/runs/{run_id}/approve", out=SentSignal, in_path=InRun, body=Approval)
async def approve_run(desk: Desk, path: InRun, body: Approval) -> SentSignal:
    """Answer the approval that a run waits for, by default with true."""
    value, run_id = _text(desk, body.value), int(path.run_id)

    def approve(connection: Connection) -> SentSignal:
        name = runs.awaited_signal(connection, run_id, body.step)
        runs.signal(connection, run_id, name, value, many=False)
        return SentSignal(path.run_id, name)

    return await desk.act("run.approve", {"run_id": path.run_id, "step": body.step}, approve)


@resource("POST", "/runs/{run_id}/export", out=Document, in_path=InRun)
async def export_run(desk: Desk, path: InRun) -> Document:
    """A run as a document, with its secrets: it would be of no use without."""

    def export(connection: Connection) -> Document:
        return Document(loads(runs.exported(connection, int(path.run_id))))

    return await desk.reveal("run.export", path, export)


@resource("POST", "/runs/import", out=StartedRun, body=NewDocument, status=HTTPStatus.CREATED)
async def import_run(desk: Desk, body: NewDocument) -> StartedRun:
    """Make a run of a document that export gave. A run that had not ended is paused."""
    text = _text(desk, body.document)

    def make(connection: Connection) -> StartedRun:
        made = runs.imported(connection, text)
        return StartedRun(str(made), runs.one(connection, made)["flow"])

    return await desk.act("run.import", {}, make)


async def _steer(desk: Desk, action: runs.Action, path: InRun, reason: str | None = None) -> SteeredRun:
    def steer(connection: Connection) -> SteeredRun:
        done = runs.act(connection, action, int(path.run_id), reason)
        run: dict[str, Any] = runs.one(connection, int(path.run_id))
        return SteeredRun(path.run_id, run["flow"], run["state"], done)

    return await desk.act(
        f"run.{action}", {"run_id": path.run_id, "reason": reason}, steer, count=lambda run: int(run.done)
    )


def _text(desk: Desk, value: msgspec.Raw) -> str:
    text = to_json(value)
    desk.check_whole(text)
    return text.decode()
