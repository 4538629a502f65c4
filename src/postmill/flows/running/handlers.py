"""The handlers of several flows and workflows that one program runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.flows.running.graph_handler import of_all_queues
from postmill.flows.running.workflow_handler import WorkflowHandler
from postmill.flows.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postmill.engine.handler import Handler
    from postmill.flows.startable import Startable


def handlers_of(definitions: Iterable[Startable[..., Any]]) -> list[Handler]:
    """One for each queue of each flow, and one for the workflows of each queue: two on one queue would claim
    each other's runs. Raises :class:`InvalidFlow`, and :class:`InvalidHandler` for a step that can't be
    called.
    """
    flows: list[Handler] = []
    workflows: dict[str, list[Workflow[..., Any]]] = {}
    for each in definitions:
        if isinstance(each, Workflow):
            workflows.setdefault(each.queue, []).append(each)
        else:
            flows.append(each.handler())
    return [*of_all_queues(flows), *(WorkflowHandler(*together) for together in workflows.values())]
