"""The one module that imports Ray. The driver's process and the cluster import it, and no worker does.

Functions and classes that run on the cluster are plain ones at the top of this module, so that Ray names them
by their module too.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import AuthenticationError, RayError, RayTaskError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from postmill.handlers.cluster import remote_task
from postmill.handlers.cluster.orders import Ending, Failure, Refusal, decode_demand, decode_ending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OWN_OPTIONS = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
"""Resources that are options of a task's own in Ray, and what Ray calls them on a machine."""


class Unreachable(Exception):
    """There is no cluster at this address now."""


class Unusable(Exception):
    """There is a cluster, and it will never take this driver."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.what)
        self.refusal = refusal


class Reports:
    """Runs on the cluster, beside the driver: collects what tasks say while they run."""

    def __init__(self) -> None:
        self._said: list[bytes] = []
        self._news = asyncio.Event()

    async def say(self, said: bytes) -> None:
        """Called by a task."""
        self._said.append(said)
        self._news.set()

    async def take(self) -> list[bytes]:
        """Called by the driver: what was said since, as soon as there is something."""
        await self._news.wait()
        self._news.clear()
        taken, self._said = self._said, []
        return taken


def perform(order: bytes, reports: Any, path: list[str]) -> bytes:
    """Runs on the cluster: one task. ``path``: where its worker finds modules."""
    return remote_task.perform(order, reports.say.remote, path)


class Cluster:
    """A connection to a Ray cluster. Raises :class:`Unreachable` or :class:`Unusable`."""

    def __init__(self, address: str, path: list[str]) -> None:
        _connect(address)
        self._path = path
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self._reports = ray.remote(Reports).options(num_cpus=0, scheduling_strategy=here).remote()
        self._task = ray.remote(perform)

    def lacking(self, needs: Sequence[Mapping[str, float]]) -> str:
        """What no machine of the cluster has enough of, in words; empty: for each of these needs one has it
        all.
        """
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return "; ".join(dict.fromkeys(filter(None, map(partial(_lacking, machines), needs))))

    def check(self) -> None:
        """Returns when the cluster's head has answered; waits as long as it does not."""
        ray.nodes()

    def begin(self, order: bytes) -> Any:
        """Hand a task to Ray; returns its reference."""
        needs = decode_demand(order).resources
        options: dict[str, Any] = {name: needs[name] for name in _OWN_OPTIONS if name in needs}
        others = {name: amount for name, amount in needs.items() if name not in _OWN_OPTIONS}
        task = self._task.options(max_retries=0, name="postmill", resources=others or None, **options)
        return task.remote(order, self._reports, self._path)

    async def said(self) -> list[bytes]:
        """What tasks have said since the last time. Raises what Ray raises when that is lost."""
        said: list[bytes] = await self._reports.take.remote()
        return said

    def cancel(self, task: Any, *, force: bool) -> None:
        """Interrupt a task, or end its process."""
        ray.cancel(task, force=force)

    @staticmethod
    async def ending_of(task: Any) -> Ending:
        """Wait for a task. Never raises for how it has ended."""
        try:
            return decode_ending(await task)
        except TaskCancelledError:
            return Ending("cancelled")
        except RayTaskError as error:  # the process lives: Postmill itself could not be called there
            cause = error.cause if isinstance(error.cause, BaseException) else error
            return Ending("raised", failure=Failure(type(cause).__name__, str(cause), str(error)))
        except RayError as error:
            first = str(error).strip().partition("\n")[0]
            return Ending("crashed", text=f"{type(error).__name__}: {first}")


def _lacking(machines: list[dict[str, float]], needs: Mapping[str, float]) -> str:
    wanted = {_OWN_OPTIONS.get(name, name): amount for name, amount in needs.items()}
    if any(all(has.get(name, 0) >= amount for name, amount in wanted.items()) for has in machines):
        return ""
    return (
        "; ".join(
            f"{amount:g} {name} (the most that one machine has: {most:g})"
            for name, amount in wanted.items()
            if amount > (most := max((has.get(name, 0) for has in machines), default=0))
        )
        or "one machine that has all of it at once"
    )


def _connect(address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", namespace="postmill")
    except AuthenticationError as error:
        raise Unusable(_wrong_token(str(error))) from error
    except RuntimeError as error:
        if "ersion mismatch" not in str(error):
            raise
        raise Unusable(_other_version(str(error))) from error
    except ConnectionError as error:
        reason = str(error.__cause__ or error)
        if AuthenticationError.__name__ in reason:
            raise Unusable(_wrong_token(reason.rpartition("AuthenticationError: ")[2])) from error
        raise Unreachable(str(error)) from error


def _wrong_token(said: str) -> Refusal:
    return Refusal(
        "The Ray cluster does not accept this worker's token.",
        why=f"Ray says: {said.strip().partition('. ')[0]}.",
        hint="Give the worker RAY_AUTH_MODE=token and the cluster's own token: RAY_AUTH_TOKEN or"
        " RAY_AUTH_TOKEN_PATH.",
    )


def _other_version(said: str) -> Refusal:
    return Refusal(
        "The Ray cluster runs another version of Ray or of Python than this worker.",
        why=" ".join(said.split()),
        hint="Install the same versions on both sides: all three numbers of each.",
    )
