"""Runs the steps of a graph flow: from a task to the call of the step's function, and from what it returns to
the outcome of the task.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from postmill.flows.running.bound_flow import BoundFlow
from postmill.flows.running.child import ended_child
from postmill.flows.running.inputs import InputQueries
from postmill.flows.running.registration import registration, schedule_of
from postmill.flows.running.settlings import (
    DONE,
    STEPS,
    ChildStarted,
    InputRefused,
    StepCompleted,
    StepDropped,
    StepHeld,
    StepUndone,
)
from postmill.flows.running.start_message import begin, start_of
from postmill.flows.running.task import origin_of, task_of
from postmill.model.error_text import kept_message
from postmill.model.errors import InvalidFlow, InvalidPayload
from postmill.model.queue.attempt_policy import AttemptPolicy
from postmill.model.queue.outcome import Cancelled, Completed, Failed, Lost, Released, Settled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from postmill.client.sending import Statement
    from postmill.engine.run.attempt import Attempt
    from postmill.engine.settle.settlement import Entry
    from postmill.flows.flow import Flow
    from postmill.flows.running.cluster_step import StepCluster
    from postmill.flows.running.inputs import Inputs
    from postmill.flows.running.task import Task
    from postmill.model.queue.message import Message

_NO_FUNCTION = ("sleep", "wait")
"""Kinds of steps whose task says that their time is over."""
_UNDOES = ("undoing", "failed")
"""States of runs whose steps may be to be undone: a step may end when its run has failed."""
_OUTCOMES = (BaseException, Failed, Cancelled, Released, Lost, Settled, StepDropped)
"""What a step, or what calls it, may return in place of an output."""


class GraphHandler:
    """The handler of the flows whose tasks come to one queue: one worker of a process takes them all, or two
    would claim each other's. Any step may come there: a step's queue can change meanwhile.
    """

    settlings: Mapping[type, Entry] = STEPS
    runs_flows = True

    def __init__(self, *flows: Flow[Any], queue: str | None = None) -> None:
        """The first flow's options are the worker's. ``queue``: None is that flow's own. Raises
        :class:`InvalidFlow` for two of one name, and :class:`InvalidHandler` for a step that can't be called
        as its options ask.
        """
        options = flows[0].worker_options
        self.flows = flows
        self.options = options if queue is None else replace(options, queue=queue)
        self.backend = _cluster_of(flows)
        """See :class:`postmill.engine.handler.Handler`."""
        self._flows = {flow.name: BoundFlow(flow, options.max_concurrent, self.backend) for flow in flows}
        if len(self._flows) < len(flows):
            raise InvalidFlow(
                "These flows can't share a worker.",
                why="Two have the same name, and runs know their flow by its name.",
                hint="Give each a name of its own.",
            )
        self._usual = AttemptPolicy(self.options.retry, self.options.timeout_s)
        self._queries = InputQueries()

    @property
    def name(self) -> str:
        """The flows' names."""
        return ", ".join(self._flows)

    @property
    def declarations(self) -> Sequence[Statement]:
        """That this program has the flows in these shapes, and their schedules."""
        return [*map(registration, self.flows), *map(schedule_of, self.flows)]

    def policy_for(self, message: Message) -> AttemptPolicy:
        """The retry policy and the time limit of the message's step."""
        try:
            task = task_of(message)
        except InvalidPayload:
            return self._usual
        flow = self._flows.get(task.flow)
        return self._usual if flow is None else flow.policy(task.step)

    def bind(self, message: Message, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        start = start_of(message)
        if start is not None:
            return begin(start, message, self._flows, attempt.services.reads)
        return self._run(message, attempt)

    async def bind_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> Any:
        """One after the other; not used, as a flow has no batches."""
        return [await self.bind(*each) for each in zip(messages, attempts, strict=True)]

    def close(self) -> None:
        """See :class:`postmill.engine.handler.Handler`."""
        for flow in self._flows.values():
            flow.close()

    async def _run(self, message: Message, attempt: Attempt) -> Any:
        origin = origin_of(message)
        if origin is not None and origin.is_of_others(self._flows, wakes=False):
            return StepHeld("version")  # programs share the queue: another one has the flow
        task = task_of(message)
        inputs = await self._inputs(task, attempt)
        if inputs is None:
            return StepDropped(f"there is no run {task.run} with a step {task.step!r}")
        flow = self._flows.get(inputs.flow)
        if flow is None:  # the message names a flow that is not its run's
            return StepHeld("version")
        if task.undo:
            return await _undo(flow, task, inputs, attempt)
        obstacle = _obstacle(task, inputs) or self._misfit(flow, task, inputs)
        return await _do(flow, task, inputs, attempt) if obstacle is None else obstacle

    def _misfit(self, flow: BoundFlow, task: Task, inputs: Inputs) -> InputRefused | None:
        if inputs.run_input is None or self._queries.is_fitting(task.run):
            return None
        try:
            flow.check_input(inputs.run_input)
        except InvalidPayload as error:
            return InputRefused(kept_message(error))
        self._queries.note_fitting(task.run)
        return None

    async def _inputs(self, task: Task, attempt: Attempt) -> Inputs | None:
        """What the step is given. Its time limit begins after that: an outage is no slow step."""
        known = self._queries.known(task.run, task.step, attempt.message)
        if known is not None:
            return known
        limit = attempt.time_limit
        if limit is None:
            return await self._queries.of(task.run, task.step, attempt.services.reads)
        limit.end()
        inputs = await self._queries.of(task.run, task.step, attempt.services.reads)
        limit.begin()
        return inputs


def _cluster_of(flows: Sequence[Flow[Any]]) -> StepCluster | None:
    """Where steps run that do not run on this machine; None: all do."""
    if all(step.on_cluster is None for flow in flows for step in flow.steps.values()):
        return None
    from postmill.flows.running.cluster_step import StepCluster  # noqa: PLC0415 - of use on a cluster only

    return StepCluster()


async def _do(flow: BoundFlow, task: Task, inputs: Inputs, attempt: Attempt) -> Any:
    if inputs.kind in _NO_FUNCTION:
        return DONE
    if task.child is not None:
        return await ended_child(task, task.child, attempt.services.reads)
    if inputs.kind == "run":
        return _start(flow, task, inputs)
    return await _call(flow, task, inputs, attempt)


async def _undo(flow: BoundFlow, task: Task, inputs: Inputs, attempt: Attempt) -> Any:
    if inputs.run_state not in _UNDOES or inputs.step_state != "completed" or inputs.output is None:
        return StepDropped(f"step {task.step!r} of run {task.run} is not to be undone")
    step = flow.steps.get(task.step)
    if step is None or step.undo is None:
        return StepHeld("version")
    result = await step.undo.one(step.decode_output(inputs.output), attempt)
    return result if isinstance(result, _OUTCOMES) else StepUndone()


def _start(flow: BoundFlow, task: Task, inputs: Inputs) -> ChildStarted | StepHeld:
    child = flow.children.get(task.step)
    if child is None or not child.takes(inputs.values):
        return StepHeld("version")
    return child.started(inputs.values)


async def _call(flow: BoundFlow, task: Task, inputs: Inputs, attempt: Attempt) -> Any:
    step = flow.steps.get(task.step)
    if step is None or not step.takes(inputs.kind, inputs.values):
        return StepHeld("version")
    result = await step.call.one(step.arguments(inputs.values, task.value), attempt)
    if isinstance(result, _OUTCOMES):
        return result
    return StepCompleted(step.output(result.result if isinstance(result, Completed) else result))


def _obstacle(task: Task, inputs: Inputs) -> StepDropped | StepHeld | None:
    """What becomes of a task that can't run, or need not run, as its run is now."""
    if inputs.run_state == "paused":
        return StepHeld("paused")
    if (inputs.kind == "map") != (task.item is not None):
        return StepDropped(f"step {task.step!r} of run {task.run} has no such task")
    if inputs.run_state == "running" and inputs.step_state == "started":
        return None
    return StepDropped(f"run {task.run} is {inputs.run_state}, its step {inputs.step_state or 'not begun'}")
