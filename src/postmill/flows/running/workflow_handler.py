"""Runs workflows: from the message that wakes a run to the outcome of the message."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from postmill.flows.context import Ctx
from postmill.flows.running.checkpoints import Checkpoints
from postmill.flows.running.conclusion import conclude
from postmill.flows.running.durable import DurableRun
from postmill.flows.running.execution import Execution
from postmill.flows.running.registration import registration, schedule_of
from postmill.flows.running.run_loader import RunLoader
from postmill.flows.running.run_settlings import RUNS, ChildEnded, RunEnded
from postmill.flows.running.settlings import StepDropped, StepHeld
from postmill.flows.running.start_message import begin, start_of
from postmill.flows.running.task import origin_of
from postmill.flows.running.wake import wake_of
from postmill.flows.workflow import settings_of
from postmill.model.error_text import kept_message
from postmill.model.errors import InvalidFlow, InvalidPayload
from postmill.model.queue.attempt_policy import AttemptPolicy
from postmill.model.queue.retry import ExponentialRetry
from postmill.service.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from postmill.client.sending import Statement
    from postmill.engine.run.attempt import Attempt
    from postmill.engine.settle.settlement import Entry
    from postmill.flows.running.cluster_step import ClusterSteps
    from postmill.flows.running.run_loader import LoadedRun
    from postmill.flows.workflow import Workflow
    from postmill.model.queue.message import Message

MESSAGES = AttemptPolicy(ExponentialRetry(max_attempts=None), None)
"""A workflow's ``retry`` and ``timeout`` are those of its steps. A run outlives crashes of its workers: of
one message as many as ``max_deliveries``.
"""


class WorkflowHandler:
    """The handler of the workflows of one queue. The first one's options are the worker's."""

    settlings: Mapping[type, Entry] = RUNS
    runs_flows = True

    def __init__(self, *workflows: Workflow[..., Any]) -> None:
        """Raises :class:`InvalidFlow` for two of one name, and for two queues."""
        self._workflows = {each.name: each for each in workflows}
        queues = sorted({each.queue for each in workflows})
        if len(self._workflows) < len(workflows) or len(queues) > 1:
            raise InvalidFlow(
                "These workflows can't share a worker.",
                why="Two have the same name."
                if len(queues) == 1
                else f"Their queues are {', '.join(queues)}.",
                hint="Give each a name of its own, and queue=... the same.",
            )
        self.options = workflows[0].worker_options
        self._threads = Threads(self.options.max_concurrent, "postmill step")
        self._clustered = _clustered(workflows)
        self.backend = None if self._clustered is None else self._clustered.cluster
        """See :class:`postmill.engine.handler.Handler`."""
        self._loader = RunLoader(self._workflows)
        self._checkpoints = Checkpoints(self.options.queue)

    @property
    def workflows(self) -> Sequence[Workflow[..., Any]]:
        """Those that it runs."""
        return tuple(self._workflows.values())

    @property
    def name(self) -> str:
        """The workflows' names."""
        return ", ".join(self._workflows)

    @property
    def declarations(self) -> Sequence[Statement]:
        """That this program has these workflows, and their schedules."""
        return [*map(registration, self.workflows), *map(schedule_of, self.workflows)]

    def policy_for(self, _message: Message) -> AttemptPolicy:
        """See :data:`MESSAGES`: a run has no time limit but its deadline."""
        return MESSAGES

    def bind(self, message: Message, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        start = start_of(message)
        if start is not None:
            return begin(start, message, self._workflows, attempt.services.reads)
        return self._run(message, attempt)

    async def bind_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> Any:
        """One after the other; not used, as a workflow has no batches."""
        return [await self.bind(*each) for each in zip(messages, attempts, strict=True)]

    def close(self) -> None:
        """Start nothing more; a thread that still runs is not waited for."""
        self._threads.close()

    async def _run(self, message: Message, attempt: Attempt) -> Any:
        origin = origin_of(message)
        if origin is not None and origin.is_of_others(self._workflows, wakes=True):
            return StepHeld("version")
        wake = wake_of(message)
        if wake.wake is None:
            return ChildEnded()
        shared = attempt.services.connections.shared
        loaded = await self._loader.load(wake.run, wake.wake, shared)
        if loaded is None:
            return StepDropped(f"there is no run {wake.run}")
        if not loaded.is_live:
            return StepDropped(f"the message is stale, or run {wake.run} is {loaded.state}")
        workflow = self._workflows.get(loaded.flow)
        if workflow is None or loaded.state == "paused":
            return StepHeld("paused" if loaded.state == "paused" else "version")
        return await self._execute(workflow, loaded, attempt)

    async def _execute(self, workflow: Workflow[..., Any], loaded: LoadedRun, attempt: Attempt) -> Any:
        try:
            arguments = workflow.arguments(loaded.input)
        except InvalidPayload as error:
            return RunEnded("failed", reason=kept_message(error))
        execution = Execution(loaded, attempt, self._checkpoints)
        run = DurableRun(execution, workflow.worker_options, self._threads, self._clustered)
        task = await execution.run(_called(workflow, run, arguments))
        return await conclude(run, task)


def _clustered(workflows: Sequence[Workflow[..., Any]]) -> ClusterSteps | None:
    """Their steps that run on a cluster, as far as their modules name them; None: there are none."""
    functions = {
        each: None
        for workflow in workflows
        for each in getattr(inspect.unwrap(workflow.function), "__globals__", {}).values()
        if inspect.isfunction(each) and settings_of(each).on_cluster is not None
    }
    if not functions:
        return None
    from postmill.flows.running.cluster_step import ClusterSteps  # noqa: PLC0415 - of use on a cluster only

    return ClusterSteps(functions)


async def _called(workflow: Workflow[..., Any], run: DurableRun, arguments: dict[str, Any]) -> Any:
    return await workflow(Ctx(run), **arguments)
