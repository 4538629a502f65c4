"""What a run of a shape comes to, in plain Python: the reference for what the database does, and the rules by
which a run goes on in memory.

Steps are taken in order of definition, one task at a time. In the database many run at once: what a run comes
to is the same, unless it fails. There, any step may have ended or not when the first one fails, and any of
those that fail may be the one for whose sake the run has failed. No clock: a time-out is an answer like any
other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from postmill.model.flow.condition import MISSING, evaluate, follow
from postmill.model.flow.shape import INPUT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from postmill.model.flow.shape import FlowShape, Read, StepShape

State = Literal["completed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done next: a step, or an item of a map."""

    step: StepShape
    inputs: Mapping[str, Any]
    """By parameter; without the one that takes an item."""
    item: int | None = None
    value: Any = None
    """The item."""


@dataclass(frozen=True, slots=True)
class Died:
    """A task that will not be tried again."""

    reason: str


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How a step has ended."""

    state: State
    output: Any = None
    """Of a map: the results of its items, without those that failed."""
    reason: str = ""
    cut: bool = False
    """What needs it is skipped too."""
    errors: tuple[tuple[int, str], ...] = ()
    """Items of a map that failed, where it goes on without them."""


@dataclass(slots=True)
class RunEnd:
    """What a run comes to. A step that is not in ``steps`` never begins."""

    steps: dict[str, StepEnd] = field(default_factory=dict)

    @property
    def culprits(self) -> list[str]:
        """The steps that fail the run: the first that does is the culprit."""
        return [name for name, end in self.steps.items() if end.state == "failed"]

    @property
    def state(self) -> Literal["completed", "failed"]:
        """How the run ends."""
        return "failed" if self.culprits else "completed"

    @property
    def outputs(self) -> dict[str, Any]:
        """What completed steps gave, by name."""
        return {name: end.output for name, end in self.steps.items() if end.state == "completed"}


def interpret(shape: FlowShape, given: Any, perform: Callable[[Task], Any]) -> RunEnd:
    """Run a shape. ``given``: the run's input. ``perform``: what a task gives, or that it :class:`Died`."""
    running = tasks(shape, given)
    answer = None
    while True:
        try:
            task = running.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer = perform(task)


def tasks(shape: FlowShape, given: Any) -> Generator[Task, Any, RunEnd]:
    """The same for a caller who waits between tasks: yields each, is sent what it gave, returns the end."""
    run = RunEnd()
    for step in shape.steps:
        needs = [run.steps.get(name) for name in step.needs]
        if all(end is not None and end.state != "failed" for end in needs):
            run.steps[step.name] = yield from _step(step, given, run)
    return run


def _step(step: StepShape, given: Any, run: RunEnd) -> Generator[Task, Any, StepEnd]:
    """One step whose sources have ended."""
    if any(run.steps[name].cut for name in step.needs):
        return StepEnd("skipped", reason="dependency_skipped", cut=True)
    if step.when is not None and not evaluate(step.when, {INPUT: given, **run.outputs}):
        if step.on_unmet == "fail":
            return StepEnd("failed", reason="condition_unmet")
        return StepEnd("skipped", reason="condition_unmet", cut=step.on_unmet == "skip_cascade")
    inputs = {name: read_of(edge, given, run) for name, edge in step.reads.items() if edge.kind != "each"}
    if step.over is not None:
        return (yield from _map(step, step.over, inputs, given, run))
    answer = yield Task(step, inputs)
    return _dead(step, answer) if isinstance(answer, Died) else StepEnd("completed", answer)


def _map(
    step: StepShape, over: Read, inputs: Mapping[str, Any], given: Any, run: RunEnd
) -> Generator[Task, Any, StepEnd]:
    """A map: a task an item."""
    skipped = over.of != INPUT and run.steps[over.of].state == "skipped"
    items = [] if skipped else _found(over, given, run)
    if not isinstance(items, list):
        return _dead(step, Died(f"what {over.of} gave is no list"))
    results, errors = [], []
    for place, value in enumerate(items):
        answer = yield Task(step, inputs, place, value)
        if not isinstance(answer, Died):
            results.append(answer)
        elif step.on_dead == "collect":
            errors.append((place, answer.reason))
        else:
            return _dead(step, answer)
    return StepEnd("completed", results, errors=tuple(errors))


def _dead(step: StepShape, died: Died) -> StepEnd:
    """The end of a step that can't do its work."""
    if step.on_dead in {"skip", "skip_cascade"}:
        return StepEnd("skipped", reason=died.reason, cut=step.on_dead == "skip_cascade")
    return StepEnd("failed", reason=died.reason)


def read_of(edge: Read, given: Any, run: RunEnd) -> Any:
    """What an edge gives: None where nothing is."""
    if edge.kind != "partial":
        value = _found(edge, given, run)
        return None if value is MISSING else value
    end = run.steps[edge.of]
    if end.state != "completed":
        return None
    errors = [{"item": item, "reason": reason} for item, reason in end.errors]
    return {"results": end.output, "errors": errors}


def _found(edge: Read, given: Any, run: RunEnd) -> Any:
    source = given if edge.of == INPUT else run.outputs.get(edge.of, MISSING)
    return follow(source, edge.path)
