"""One flow: its graph, its steps, its versions, and starting a run of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.api.resources import flows, runs
from postmill.dashboard.bodies import body, json_typed
from postmill.dashboard.drawing import graph
from postmill.dashboard.page import Done, View, action, page
from postmill.model.flow.condition import in_words

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit


@page("/flows/{flow}", tab="Flows")
async def flow_page(visit: Visit) -> View:
    """A version, by default the newest; ``step`` is the one that is pointed at."""
    path = visit.in_path(flows.InFlow)
    flow = await flows.show_flow(visit.desk, path, visit.in_query(flows.Version))
    latest = await runs.list_runs(visit.desk, runs.Which(flow=flow.flow, limit=10))
    steps = [_drawn(step) for step in flow.shape["steps"]]
    return View(
        flow.flow,
        {
            "flow": flow,
            "runs": latest.items,
            "picture": graph.picture(steps, whole="whole" in visit.query),
            "steps": flow.shape["steps"],
            "conditions": {step.name: step.condition for step in steps},
            "chosen": visit.query.get("step", ""),
            "whole": "whole" in visit.query,
            "prefix": f"?version={flow.version}" + ("&whole=1" if "whole" in visit.query else ""),
        },
    )


@action("/flows/{flow}/start", of=flow_page)
async def start(visit: Visit) -> Done:
    """Start a run."""
    typed = {
        "flow": visit.in_path(flows.InFlow).flow,
        "input": json_typed(visit.form.get("input")),
        "key": visit.form.get("key"),
        "tags": [tag for tag in map(str.strip, visit.form.get("tags", "").split(",")) if tag],
    }
    made = await runs.start_run(visit.desk, body(runs.NewRun, typed))
    return Done(f"/runs/{made.run_id}", f"Run {made.run_id} of {made.flow} has begun.")


def _drawn(step: dict[str, Any]) -> graph.Step:
    """In the place of a state stands what kind of step it is."""
    when = step.get("when")
    return graph.Step(
        name=step["name"],
        state=step.get("kind") or "step",
        needs=tuple(step.get("needs") or ()),
        condition="" if when is None else in_words(when),
    )
