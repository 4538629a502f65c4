"""``simulate``: a flow or a workflow runs in memory, in no time: no database, no worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from postmill.flows.flow import Flow
from postmill.service.threads import Threads
from postmill.testing.flow_in_memory import FlowInMemory
from postmill.testing.workflow_in_memory import run_workflow
from postmill.testing.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.flows.runnable import Runnable
    from postmill.flows.startable import Startable
    from postmill.flows.workflow import Workflow
    from postmill.testing.simulated import Simulated

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
T = TypeVar("T")

THREADS = 8
"""Plain functions that run at the same time. Eight: enough for what a test gathers."""


@overload
async def simulate(
    of: Startable[[], T], /, *, fakes: Mapping[Any, object] = ..., signals: Mapping[Any, object] = ...
) -> Simulated[T]: ...
@overload
async def simulate(
    of: Startable[[A], T], a: A, /, *, fakes: Mapping[Any, object] = ..., signals: Mapping[Any, object] = ...
) -> Simulated[T]: ...
@overload
async def simulate(
    of: Startable[[A, B], T],
    a: A,
    b: B,
    /,
    *,
    fakes: Mapping[Any, object] = ...,
    signals: Mapping[Any, object] = ...,
) -> Simulated[T]: ...
@overload
async def simulate(
    of: Startable[[A, B, C], T],
    a: A,
    b: B,
    c: C,
    /,
    *,
    fakes: Mapping[Any, object] = ...,
    signals: Mapping[Any, object] = ...,
) -> Simulated[T]: ...
async def simulate(
    of: Startable[..., Any],
    /,
    *given: Any,
    fakes: Mapping[Any, object] | None = None,
    signals: Mapping[Any, object] | None = None,
) -> Simulated[Any]:
    """Run a flow or a workflow on its input, in memory; returns what it came to. A failed run is no error
    here.

    ``fakes``: what stands in for steps, by step, function, flow or workflow: a function that is called with
    the same arguments, or the value that it gives. ``signals``: values by signal, or by the step that waits
    for one; ``later(seconds, value)`` for one that comes later, a list for a signal of many.

    Delays, sleeps, waits and pauses between attempts take no time: the clock jumps. A workflow runs twice,
    the second time on what the first has recorded. Raises ``ReplayMismatch`` when it takes another way then,
    and ``Refused`` where something is missing that only a database, a network or a person has.
    """
    threads = Threads(THREADS, "postmill simulation")
    try:
        text = bytes(of.encode(*given)).decode()
        return await _run(World(fakes or {}, signals or {}, threads, _run), of, text)
    finally:
        threads.close()


async def _run(world: World, of: Runnable[Any], text: str) -> Simulated[Any]:
    """Run one of them, on this input as JSON."""
    if isinstance(of, Flow):
        return await FlowInMemory(of, world).run(text)
    return await run_workflow(cast("Workflow[..., Any]", of), world, text)
