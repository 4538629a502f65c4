"""The handlers that one process runs for its workers, flows and workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.flows.running.graph_handler import GraphHandler
from postmill.flows.running.workflow_handler import WorkflowHandler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postmill.engine.handler import Handler
    from postmill.flows.startable import Startable
    from postmill.flows.workflow import Workflow


def handlers_of(definitions: Iterable[Startable[..., Any]]) -> list[Handler]:
    """Those of flows and workflows; see :func:`together`. Raises :class:`InvalidHandler` for a step that
    can't be called.
    """
    return together(each.handler() for each in definitions)


def together(handlers: Iterable[Handler]) -> list[Handler]:
    """What a process runs for these: of each flow one more for every further queue that its steps name, and
    one for all workflows of a queue: two would claim each other's runs. Raises :class:`InvalidFlow`.
    """
    found: list[Handler] = []
    workflows: dict[str, list[Workflow[..., Any]]] = {}
    for handler in handlers:
        if isinstance(handler, WorkflowHandler):
            workflows.setdefault(handler.options.queue, []).extend(handler.workflows)
            continue
        found.append(handler)
        if isinstance(handler, GraphHandler):
            found += [GraphHandler(handler.flow, queue) for queue in handler.further_queues]
    return [*found, *(WorkflowHandler(*each) for each in workflows.values())]
