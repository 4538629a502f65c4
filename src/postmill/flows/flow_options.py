"""The options of a flow or workflow: those of its worker, and what is kept of its runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from postmill.model.duration import seconds
from postmill.model.errors import InvalidFlow
from postmill.model.option_rules import out_of_range, whole_number
from postmill.model.queue.payload import MAX_MESSAGE_BYTES
from postmill.model.queue.worker_options import WorkerOptions, options_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

MAX_OUTPUT_BYTES = 1024 * 1024
"""The largest output of a step, as JSON. 1 MiB: outputs are read again by each step that needs them, and a
run's page shows them. What is larger belongs into a table or a file, and its address into the output.
"""
NOT_OF_FLOWS = {
    "batch": "A step is run one message at a time.",
    "keep_results": "What a step gives is kept with its run.",
    "on_success": "Messages of flows are deleted: their runs tell what was done.",
    "on_invalid": "What a step can't be called with fails it.",
    "on_dead": "A step without further attempts is told by its run. A step has an on_dead of its own.",
}
"""Why a worker's option can't be given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOptions(WorkerOptions):
    """See ``docs/reference/flows.md``. Raises :class:`InvalidOption` for a bad value."""

    retention: float | timedelta | None = None
    """How long a run is kept after its end; None: as the database has it, 30 days."""
    max_output: int = MAX_OUTPUT_BYTES
    """The largest output of a step, and of a workflow, in bytes of JSON."""

    def __post_init__(self) -> None:
        WorkerOptions.__post_init__(self)
        whole_number("max_output", self.max_output, 1, MAX_MESSAGE_BYTES)
        if self.retention is not None:
            object.__setattr__(self, "retention", seconds(self.retention, "retention"))

    @property
    def retention_s(self) -> float | None:
        """How long a run is kept after its end, in seconds."""
        return None if self.retention is None else seconds(self.retention, "retention")


def deadline_of(given: float | timedelta | None) -> float | None:
    """How long a run may take, in seconds. Raises :class:`InvalidOption` for what no run could keep."""
    limit_s = None if given is None else seconds(given, "deadline")
    if limit_s == 0:
        raise out_of_range("deadline", given, "It must be longer than 0 s.")
    return limit_s


def flow_options(name: str, given: Mapping[str, Any]) -> FlowOptions:
    """The options of a flow's worker; a schedule is not the worker's, but the flow's. Raises
    :class:`InvalidOption`, and :class:`InvalidFlow` for those that mean nothing for a flow.
    """
    said = {option: value for option, value in given.items() if value is not None}
    for option in said.keys() & NOT_OF_FLOWS.keys():
        raise InvalidFlow(f"The flow {name!r} has no option {option!r}.", why=NOT_OF_FLOWS[option])
    return replace(options_from({"queue": name, **said}, FlowOptions), schedule=None, timezone="UTC")
