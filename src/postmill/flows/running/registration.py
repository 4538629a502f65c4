"""What a program tells the database of its flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.client.sending import Statement
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.flows.runnable import Runnable

REGISTER = "register_flow"
"""The statement's name."""


def registration(flow: Runnable[Any]) -> Statement:
    """The statement that says that this program has the flow in this shape. It may be sent again: then tasks
    that were held because no worker had their version are sent again too.
    """
    arguments = (flow.name, flow.kind, flow.queue, *flow.registered, flow.worker_options.retention_s)
    return Statement(statement(REGISTER), arguments, flow.queue)


def schedule_of(flow: Runnable[Any]) -> Statement:
    """The statement that says when runs of a flow start by themselves, or that none do."""
    arguments = (flow.name, flow.schedule, flow.timezone)
    return Statement(statement("flow_schedule_declare"), arguments, flow.queue)
