"""The handlers that one process runs for its workers, flows and workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.flows.running.graph_handler import GraphHandler
from postmill.flows.running.leaving_handler import LeavingHandler
from postmill.flows.running.shared_handler import SharedHandler
from postmill.flows.running.workflow_handler import WorkflowHandler
from postmill.model.errors import InvalidHandler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postmill.engine.handler import Handler
    from postmill.flows.flow import Flow
    from postmill.flows.startable import Startable
    from postmill.flows.workflow import Workflow


def handlers_of(definitions: Iterable[Startable[..., Any]]) -> list[Handler]:
    """Those of flows and workflows; see :func:`together`. Raises :class:`InvalidHandler` for a step that
    can't be called.
    """
    return together(each.handler() for each in definitions)


def together(handlers: Iterable[Handler]) -> list[Handler]:
    """What a process runs for these: one worker a queue for all flows with steps there and all workflows, as
    two would claim each other's tasks. A worker without flows leaves the tasks of other programs' flows.
    Raises :class:`InvalidFlow`, and :class:`InvalidHandler` for two workers that would do the same.
    """
    found: list[Handler] = []
    flows: list[Flow[Any]] = []
    workflows: dict[str, list[Workflow[..., Any]]] = {}
    for handler in handlers:
        if isinstance(handler, WorkflowHandler):
            workflows.setdefault(handler.options.queue, []).extend(handler.workflows)
        elif isinstance(handler, GraphHandler):
            flows += [flow for flow in handler.flows if flow not in flows]  # two targets may name one
        else:
            found.append(handler)
    graphs = {queue: GraphHandler(*its, queue=queue) for queue, its in _by_queue(flows).items()}
    for queue, its in workflows.items():
        handler = WorkflowHandler(*its)
        found.append(SharedHandler(graphs.pop(queue), handler) if queue in graphs else handler)
    each_once = _each_on_its_queue([*found, *graphs.values()])
    return [each if each.runs_flows else LeavingHandler(each) for each in each_once]


def _each_on_its_queue(handlers: list[Handler]) -> list[Handler]:
    by_queue: dict[str, Handler] = {}
    for handler in handlers:
        queue = handler.options.queue
        other = by_queue.setdefault(queue, handler)
        if other is not handler:
            raise InvalidHandler(
                f"{other.name} and {handler.name} both take the messages of queue {queue}.",
                why="Each would be given messages of the other.",
                hint="Give one of them another queue, or make two functions tasks of one worker.",
            )
    return handlers


def _by_queue(flows: list[Flow[Any]]) -> dict[str, list[Flow[Any]]]:
    """The flows whose tasks come to each queue: first those whose own it is, as the first one's options are
    the worker's; then those of which a step names it.
    """
    found: dict[str, list[Flow[Any]]] = {}
    for flow in flows:
        found.setdefault(flow.queue, []).append(flow)
    for flow in flows:
        named = {chosen.queue for chosen in flow.chosen.values() if chosen.queue} - {flow.queue}
        for queue in sorted(named):
            found.setdefault(queue, []).append(flow)
    return found
