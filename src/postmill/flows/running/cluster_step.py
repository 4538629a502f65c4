"""Steps that run on a cluster: those of graphs, and those of durable functions."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from postmill.flows.running.run_watch import RunEnded, RunWatch
from postmill.flows.running.settlings import StepDropped
from postmill.flows.running.task import task_of
from postmill.flows.workflow import settings_of
from postmill.handlers.cluster.driver import DriverLost
from postmill.handlers.cluster.on_ray import OnCluster
from postmill.handlers.cluster.remote_context import RemoteContext
from postmill.handlers.signature import asks_for, resolved
from postmill.model.errors import InvalidPayload
from postmill.model.queue.outcome import RELEASED
from postmill.model.queue.payload import to_json
from postmill.model.queue.retry import Dead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from postmill.engine.run.attempt import Attempt
    from postmill.flows.context import Args, Kwargs
    from postmill.flows.running.execution import Execution
    from postmill.flows.running.step_pauses import StepPauses
    from postmill.handlers.cluster.on_ray import OnRay
    from postmill.model.queue.cluster_options import ClusterOptions


class StepCluster(OnCluster):
    """The cluster of one worker of flows, and the runs whose steps are there now."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = RunWatch()

    def step(self, function: Callable[..., Any], options: ClusterOptions) -> ClusterStep:
        """How a graph's step is called there. Raises :class:`InvalidHandler`."""
        return ClusterStep(self.invoker(function, options, by_name=True), self.watch)


class ClusterStep:
    """How a step of a graph is called there; see :class:`postmill.handlers.invokers.Invoker`."""

    def __init__(self, call: OnRay, watch: RunWatch) -> None:
        self._call = call
        self._watch = watch

    async def one(self, payload: Any, attempt: Attempt) -> Any:
        """The call for one message, which ends with the run."""
        try:
            work = self._call.one(payload, attempt)
            return await self._watch.follow(task_of(attempt.message).run, work, attempt.services)
        except RunEnded as ended:
            return StepDropped(str(ended))

    def batch(self, payloads: Sequence[Any], attempts: Sequence[Attempt]) -> Awaitable[Any]:
        """Not used: a flow has no batches."""
        return self._call.batch(payloads, attempts)

    def close(self) -> None:
        """See :class:`OnRay`."""
        self._call.close()


class ClusterSteps:
    """Those that the workflows of one worker call. Raises :class:`InvalidHandler` for a function that a task
    could not find.
    """

    def __init__(self, functions: Iterable[Callable[..., Any]]) -> None:
        self.cluster = StepCluster()
        self._calls: dict[Callable[..., Any], OnRay] = {}
        for function in functions:
            options = settings_of(function).on_cluster
            assert options is not None  # noqa: S101 - they were chosen by it
            self._calls[function] = self.cluster.invoker(function, options, by_name=True)

    def __contains__(self, function: Callable[..., Any]) -> bool:
        return function in self._calls

    async def once(
        self,
        function: Callable[..., Any],
        args: Args,
        kwargs: Kwargs,
        execution: Execution,
        pauses: StepPauses,
        timeout_s: float | None,
    ) -> Any:
        """One attempt; returns what the function returns. ``timeout_s``: from the task's own start. A driver
        that is lost stops the run here, and no attempt is counted; so does the run's own end.
        """
        call, text, number = self._calls[function], _arguments(function, args, kwargs), pauses.failed + 1
        try:
            async with asyncio.timeout(None) as timeout:
                limit = None if timeout_s is None else _Limit(timeout, timeout_s)
                work = call.value(text, execution.attempt, number, limit)
                return await self.cluster.watch.follow(
                    execution.loaded.run_id, work, execution.attempt.services
                )
        except DriverLost:
            execution.stop(RELEASED)
        except RunEnded as ended:
            execution.stop(StepDropped(str(ended)))


class _Limit:
    """See :class:`postmill.handlers.cluster.on_ray.Limit`."""

    def __init__(self, timeout: asyncio.Timeout, seconds: float) -> None:
        self._timeout = timeout
        self.seconds = seconds

    def begin(self) -> None:
        self._timeout.reschedule(asyncio.get_running_loop().time() + self.seconds)

    def end(self) -> None:
        self._timeout.reschedule(None)


def _arguments(function: Callable[..., Any], args: Args, kwargs: Kwargs) -> str:
    """The values by the names of their parameters, as JSON. What is none would be none in each attempt."""
    signature = inspect.signature(function)
    taken = [
        each
        for each in signature.parameters.values()
        if not asks_for(resolved(function, each.annotation), RemoteContext)
    ]
    try:
        return to_json(signature.replace(parameters=taken).bind(*args, **kwargs).arguments).decode()
    except InvalidPayload as error:
        raise Dead(f"its arguments can't be sent to the cluster: {error}") from error
