"""A step that is a run of another flow: how that run begins, and what its end is to the step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from postmill.client import runs
from postmill.db.hot.outage import is_passing
from postmill.flows.running.inputs import AWAY_S
from postmill.flows.running.settlings import ChildStarted, StepCompleted, StepDropped
from postmill.model.queue.outcome import Snooze
from postmill.model.queue.retry import Dead
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.flows.running.task import Task
    from postmill.flows.steps import Step


class Child:
    """One such step of this program."""

    def __init__(self, step: Step[Any]) -> None:
        assert step.child is not None  # noqa: S101 - of the kind run
        self._flow = step.child
        self._read = frozenset(step.shape.reads)

    def takes(self, values: Mapping[str, msgspec.Raw]) -> bool:
        """Whether a version of the flow gives it what it asks for."""
        return values.keys() == self._read

    def started(self, values: Mapping[str, msgspec.Raw]) -> ChildStarted:
        """The run that begins. The input of a workflow is an object of its parameters. Raises
        ``InvalidPayload`` where it does not fit: then no run is started.
        """
        ((parameter, value),) = values.items()
        text = bytes(value).decode()
        if self._flow.kind == "workflow":
            text = f"{{{json.dumps(parameter)}: {text}}}"
        self._flow.check_input(text)
        return ChildStarted(self._flow.name, text)


async def ended_child(task: Task, child: int, reads: SharedConnection) -> StepCompleted | StepDropped:
    """What the end of run ``child`` is to the step that has started it. Raises ``Dead`` when it has failed,
    and ``Snooze`` in an outage.
    """
    try:
        row = await reads.fetchrow(statement("step_child"), child, task.run, task.step)
    except Exception as error:
        if is_passing(error):
            raise Snooze(AWAY_S) from error
        raise
    if row["result"] is None:
        return StepDropped(f"run {child} was not started by step {task.step!r} of run {task.run}")
    ended = runs.state([row["result"]], child)
    if not ended.has_ended:
        return StepDropped(f"run {child} has not ended")
    if ended.state != "completed":
        raise Dead(": ".join([f"run {child} was {ended.state}", *([ended.reason] if ended.reason else [])]))
    return StepCompleted(ended.output_json or "null")
