"""One run of a flow: its graph lights up while it works; what each step was given and has given; what can be
done to it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from postmill.api.resources import progress, steering
from postmill.api.resources.runs import InRun
from postmill.dashboard.bodies import body, json_typed
from postmill.dashboard.drawing import graph, waterfall
from postmill.dashboard.page import Done, View, action, page
from postmill.model.flow.condition import in_words

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

MOST_ROWS = 500
"""Steps that are listed at most: a longer list is not read, and the states above it filter it."""
POSSIBLE = {
    "running": ("pause", "cancel"),
    "waiting": ("pause", "cancel"),
    "paused": ("resume", "cancel"),
    "failed": ("retry",),
}
"""What makes sense in which state of a run."""


@page("/runs/{run_id}", tab="Runs", shares=("run:{run_id}",))
async def run_page(visit: Visit) -> View:
    """The run; ``step`` is shown in full, ``of`` lists steps of one state, ``whole`` unfolds the graph."""
    path = visit.in_path(InRun)
    run = await progress.show_run_progress(visit.desk, path)
    events = await progress.list_run_events(visit.desk, path, progress.HowMany())
    return _view(visit, progress.Revealed(run, await _chosen(visit, path), events.items))


@action("/runs/{run_id}/reveal", of=run_page)
async def reveal(visit: Visit) -> View:
    """The run, and the step that is shown, with their secrets. The audit says who has seen them."""
    which = progress.WhichStep(visit.query.get("step") or None)
    shown = await progress.reveal_run_progress(visit.desk, visit.in_path(InRun), which)
    return _view(visit, shown, revealed=True)


def _view(visit: Visit, shown: progress.Revealed, *, revealed: bool = False) -> View:
    run, chosen = shown.run, shown.step
    drawn = [_drawn(step) for step in run.steps]
    return View(
        f"{run.flow} {run.run_id}",
        {
            "run": run,
            "events": shown.events,
            "revealed": revealed,
            "hideable": [run.input, run.output, *(each.value for each in shown.events), *_values(chosen)],
            "counts": graph.counts(drawn),
            "picture": graph.picture(drawn, whole="whole" in visit.query) if run.kind == "graph" else None,
            "steps": {step.step: step for step in run.steps},
            **_rows(run, visit.query.get("of", "")),
            "step": chosen,
            "condition": chosen and chosen.condition and in_words(chosen.condition),
            "can": POSSIBLE.get(run.state, ()),
            "links": _links(visit),
        },
    )


def _drawn(step: progress.StepProgress) -> graph.Step:
    return graph.Step(
        name=step.step,
        kind=step.kind,
        state=step.state,
        needs=tuple(step.needs or ()),
        condition="" if step.condition is None else in_words(step.condition),
        tasks=step.tasks,
        done=step.tasks_done or 0,
    )


def _rows(run: progress.Progress, of: str) -> dict[str, Any]:
    """The steps that are listed: those that have begun over time, then the others."""
    spans = [
        waterfall.Span(
            name=step.step,
            state=step.state,
            kind=step.kind,
            needs=tuple(step.needs or ()),
            started_at=step.started_at,
            ended_at=step.ended_at,
        )
        for step in run.steps
    ]
    fallen = waterfall.waterfall(spans, run.started_at, run.ended_at or datetime.now(UTC))
    begun = {row.name for row in fallen.rows}
    rows = [*fallen.rows, *(waterfall.not_begun(span) for span in spans if span.name not in begun)]
    meant = [row for row in rows if of in ("", row.state)]
    return {
        "rows": meant[:MOST_ROWS],
        "left_out": max(0, len(meant) - MOST_ROWS),
        "ticks": fallen.ticks,
        "of": of,
    }


def _values(step: progress.WholeStep | None) -> list[Any]:
    return [] if step is None else [step.input, step.output]


async def _chosen(visit: Visit, path: InRun) -> progress.WholeStep | None:
    name = visit.query.get("step")
    if not name:
        return None
    return await progress.show_run_step(visit.desk, progress.InStep(run_id=path.run_id, step=name))


def _links(visit: Visit) -> dict[str, str]:
    """Links back to this page, each with a change."""
    kept = {name: visit.query[name] for name in ("whole", "of", "step") if visit.query.get(name)}
    whole = {name: text for name, text in kept.items() if name == "whole"}
    turned = {} if whole else {"whole": "1"}
    others = {name: text for name, text in kept.items() if name != "whole"}
    return {
        "here": "?" + urlencode(kept),
        "box": "?" + urlencode(whole) + ("&" if whole else ""),
        "row": "?" + "".join(f"{urlencode({name: text})}&" for name, text in kept.items() if name != "step"),
        "fold": "?" + urlencode({**others, **turned}),
        "all": "?" + urlencode(whole) + "#steps",
    }


@action("/runs/{run_id}/cancel", of=run_page)
async def cancel(visit: Visit) -> Done:
    """End it."""
    done = await steering.cancel_run(visit.desk, visit.in_path(InRun), body(steering.Reason, _reason(visit)))
    return _steered(done, "is cancelled.")


@action("/runs/{run_id}/pause", of=run_page)
async def pause(visit: Visit) -> Done:
    """Start nothing more of it."""
    done = await steering.pause_run(visit.desk, visit.in_path(InRun), body(steering.Reason, _reason(visit)))
    return _steered(done, "is paused: what runs ends, and nothing more begins.")


@action("/runs/{run_id}/resume", of=run_page)
async def resume(visit: Visit) -> Done:
    """Let it go on."""
    return _steered(await steering.resume_run(visit.desk, visit.in_path(InRun)), "goes on.")


@action("/runs/{run_id}/retry", of=run_page)
async def retry(visit: Visit) -> Done:
    """Let it go on after it has failed."""
    done = await steering.retry_run(visit.desk, visit.in_path(InRun))
    return _steered(done, "goes on: what has succeeded stays.")


@action("/runs/{run_id}/fork", of=run_page)
async def fork(visit: Visit) -> Done:
    """Begin a new one from here."""
    path = visit.in_path(InRun)
    typed = {
        "step": visit.form.get("step"),
        "input": json_typed(visit.form.get("input")),
        "outputs": json_typed(visit.form.get("outputs")),
    }
    made = await steering.fork_run(visit.desk, path, body(steering.Fork, typed))
    return Done(f"/runs/{made.run_id}", f"Run {made.run_id} goes on from run {path.run_id}.")


@action("/runs/{run_id}/signals", of=run_page)
async def signal(visit: Visit) -> Done:
    """Send it a signal; an approval is one."""
    path = visit.in_path(InRun)
    typed = {
        "name": visit.form.get("name"),
        "value": json_typed(visit.form.get("value")),
        "many": "many" in visit.form,
    }
    sent = await steering.signal_run(visit.desk, path, body(steering.Signal, typed))
    return Done(f"/runs/{path.run_id}", f"Run {path.run_id} was sent {sent.signal}.")


def _reason(visit: Visit) -> dict[str, object]:
    return {"reason": visit.form.get("reason")}


def _steered(run: steering.SteeredRun, what: str) -> Done:
    told = what if run.done else f"was left as it is: it is {run.state}."
    return Done(f"/runs/{run.run_id}", f"Run {run.run_id} {told}")
