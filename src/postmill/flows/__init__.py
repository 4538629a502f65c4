"""Work in several steps whose whole state is in Postgres: flows of steps and edges, and durable functions."""

from __future__ import annotations

from postmill.flows.context import Ctx
from postmill.flows.flow import Flow
from postmill.flows.function_calls import use_transport
from postmill.flows.run import Run
from postmill.flows.signal import Signal
from postmill.flows.startable import Startable
from postmill.flows.steps import FunctionStep, MapStep, Step, each
from postmill.flows.workflow import Workflow, step, workflow
from postmill.model.flow.condition import Condition
from postmill.model.flow.markers import not_
from postmill.model.flow.partial import ItemError, Partial
from postmill.model.queue.outcome import Retry

__all__ = [
    "Condition",
    "Ctx",
    "Flow",
    "FunctionStep",
    "ItemError",
    "MapStep",
    "Partial",
    "Retry",
    "Run",
    "Signal",
    "Startable",
    "Step",
    "Workflow",
    "each",
    "not_",
    "step",
    "use_transport",
    "workflow",
]
