"""A flow of this program, ready to be run by a worker: its steps by name, and the policy of each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from postmill.flows.running.bound_step import BoundStep
from postmill.flows.running.child import Child
from postmill.model.queue.attempt_policy import AttemptPolicy

if TYPE_CHECKING:
    from postmill.flows.flow import Flow
    from postmill.flows.running.cluster_step import StepCluster


class BoundFlow:
    """One flow on one worker, which it may share with others. A step's own options, and the flow's retry,
    time limit and largest output, hold for its steps whatever those others say.
    """

    def __init__(self, flow: Flow[Any], at_once: int, cluster: StepCluster | None) -> None:
        """``at_once``: how many messages the worker runs at a time. ``cluster``: where steps run that are to
        run on one. Raises :class:`InvalidHandler` for a step that can't be called as its options ask.
        """
        options = replace(flow.worker_options, max_concurrent=at_once)
        self.steps = {
            name: BoundStep(step, step.function, options, cluster)
            for name, step in flow.steps.items()
            if step.function is not None
        }
        self.children = {name: Child(step) for name, step in flow.steps.items() if step.child is not None}
        self._usual = AttemptPolicy(options.retry, options.timeout_s)
        self.check_input = flow.check_input
        """See :class:`postmill.flows.runnable.Runnable`."""

    def policy(self, step: str) -> AttemptPolicy:
        """The retry policy and the time limit of a step; the flow's, for one that no function is run for."""
        found = self.steps.get(step)
        return self._usual if found is None else found.policy

    def close(self) -> None:
        """End the threads and processes of its steps."""
        for step in self.steps.values():
            step.close()
