"""Flows and workflows of one process whose tasks come to one queue: one worker takes them all, and gives each
to what it is of.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from postmill.engine.settle.settlement import Settling
from postmill.flows.running.start_message import start_of
from postmill.flows.running.task import origin_of
from postmill.model.errors import InvalidPayload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from postmill.client.sending import Statement
    from postmill.engine.backend import Backend
    from postmill.engine.run.attempt import Attempt
    from postmill.engine.settle.settlement import Entry
    from postmill.flows.running.graph_handler import GraphHandler
    from postmill.flows.running.workflow_handler import WorkflowHandler
    from postmill.handlers.cluster.on_ray import OnCluster
    from postmill.model.queue.attempt_policy import AttemptPolicy
    from postmill.model.queue.message import Message
    from postmill.model.queue.worker_options import WorkerOptions
    from postmill.service.events import Events


class SharedHandler:
    """The handler of a queue with both. The options of the first flow are the worker's."""

    runs_flows = True

    def __init__(self, graphs: GraphHandler, workflows: WorkflowHandler) -> None:
        self._graphs = graphs
        self._workflows = workflows
        self._names = frozenset(each.name for each in workflows.workflows)
        self.options: WorkerOptions = graphs.options
        self.backend = _both(graphs.backend, workflows.backend)
        """See :class:`postmill.engine.handler.Handler`."""
        kinds = graphs.settlings.keys() | workflows.settlings.keys()
        self.settlings: Mapping[type, Entry] = {kind: self._entry(kind) for kind in kinds}

    @property
    def name(self) -> str:
        """The flows' and the workflows' names."""
        return f"{self._graphs.name}, {self._workflows.name}"

    @property
    def declarations(self) -> Sequence[Statement]:
        """What both tell the database."""
        return [*self._graphs.declarations, *self._workflows.declarations]

    def policy_for(self, message: Message) -> AttemptPolicy:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._part(message).policy_for(message)

    def bind(self, message: Message, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._part(message).bind(message, attempt)

    async def bind_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> Any:
        """One after the other; not used, as a flow has no batches."""
        return [await self.bind(*each) for each in zip(messages, attempts, strict=True)]

    def close(self) -> None:
        """See :class:`postmill.engine.handler.Handler`."""
        self._graphs.close()
        self._workflows.close()

    def _part(self, message: Message | None) -> GraphHandler | WorkflowHandler:
        """What runs the message; what is of neither is the graphs' to refuse."""
        if message is None:
            return self._graphs
        origin = origin_of(message)
        if origin is None:
            return self._workflows if _started_by(message) in self._names else self._graphs
        return self._workflows if origin.flow in self._names or origin.wake is not None else self._graphs

    def _entry(self, kind: type) -> Entry:
        """How an outcome that both have is settled: as that of them says whose message it is."""
        entries = [part.settlings[kind] for part in (self._graphs, self._workflows) if kind in part.settlings]
        return entries[0] if len({*map(id, entries)}) == 1 else partial(self._choose, kind)

    def _choose(self, kind: type, outcome: Any, message: Message | None) -> Settling:
        entry = self._part(message).settlings[kind]
        return entry if isinstance(entry, Settling) else entry(outcome, message)


def _both(one: OnCluster | None, other: OnCluster | None) -> Callable[[Events], Backend] | None:
    """What steps of flows and of workflows run on beside the worker."""
    return one or other if one is None or other is None else one.joined(other)


def _started_by(message: Message) -> str | None:
    try:
        start = start_of(message)
    except InvalidPayload:
        return None
    return None if start is None else start.start
