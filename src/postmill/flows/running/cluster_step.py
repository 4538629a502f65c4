"""Steps of durable functions that run on a cluster."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

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
    from collections.abc import Callable, Iterable

    from postmill.flows.context import Args, Kwargs
    from postmill.flows.running.execution import Execution
    from postmill.flows.running.step_pauses import StepPauses
    from postmill.handlers.cluster.on_ray import OnRay


class ClusterSteps:
    """Those that the workflows of one worker call. Raises :class:`InvalidHandler` for a function that a task
    could not find.
    """

    def __init__(self, functions: Iterable[Callable[..., Any]]) -> None:
        self.cluster = OnCluster()
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
        that is lost stops the run here, and no attempt is counted.
        """
        call, text, number = self._calls[function], _arguments(function, args, kwargs), pauses.failed + 1
        try:
            async with asyncio.timeout(None) as timeout:
                limit = None if timeout_s is None else _Limit(timeout, timeout_s)
                return await call.value(text, execution.attempt, number, limit)
        except DriverLost:
            execution.stop(RELEASED)


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
