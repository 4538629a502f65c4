"""The flows that ``bench flows`` runs: their steps do nothing, so that what is measured is not their work."""

from __future__ import annotations

from typing import Any

from postmill.flows.context import Ctx  # noqa: TC001 - a workflow's annotations are read
from postmill.flows.flow import Flow
from postmill.flows.signal import Signal
from postmill.flows.steps import each
from postmill.flows.workflow import Workflow

SLOTS = 200
"""Steps at once: more than one statement of inputs or of outcomes needs."""
GO_ON = Signal("go_on", bool)


def chain(name: str, length: int) -> Flow[int]:
    """Steps of which each reads the one before."""
    flow = Flow(name, input=int, max_concurrent=SLOTS)

    async def first(n: int = flow.input) -> int:
        return n

    last: Any = flow.step(name="step1")(first)
    for place in range(2, length + 1):

        async def following(n: int = last.out) -> int:
            return n

        last = flow.step(name=f"step{place}")(following)
    return flow


def crawl(name: str, window: int | None) -> Flow[list[str]]:
    """A map over the input."""
    flow = Flow(name, input=list[str], max_concurrent=SLOTS)

    async def page(text: str = each(flow.input)) -> int:
        return len(text)

    if window is None:
        flow.map(page)
    else:
        flow.map(max_concurrent=window)(page)
    return flow


async def _nothing(n: int) -> int:
    return n


def durable(name: str, at_a_time: int) -> Workflow[..., int]:
    """A durable function of so many steps."""

    async def counting(ctx: Ctx, steps: int) -> int:
        for n in range(steps):
            await ctx.step(_nothing, n)
        return steps

    return Workflow(counting, name=name, max_concurrent=at_a_time)


def durable_that_waits(name: str) -> Workflow[..., int]:
    """The same, which waits for a signal at the end."""

    async def waiting(ctx: Ctx, steps: int) -> int:
        for n in range(steps):
            await ctx.step(_nothing, n)
        await ctx.wait(GO_ON)
        return steps

    return Workflow(waiting, name=name)
