"""A nightly report: one flow that runs another one for each region, at most two at once.

Its worker makes the schedule. ``python -m examples.flows.nightly`` does not wait for the night.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from examples.flows import demo
from postmill import Ctx, workflow

ORDERS = {"north": [12.5, 80.0, 7.25], "south": [19.0, 19.0], "west": [], "east": [101.0]}
"""Stands for the orders of a day in each region."""


@dataclass
class Region:
    """What a region sold."""

    name: str
    orders: int
    total: float


async def regions() -> list[str]:
    """The regions that there are tonight."""
    return list(ORDERS)


async def orders(region: str) -> list[float]:
    """What was ordered there."""
    return ORDERS[region]


@workflow
async def region_report(ctx: Ctx, region: str) -> Region:
    """The sub-flow: a run of its own, with its own steps and retries."""
    found = await ctx.step(orders, region)
    return Region(region, len(found), sum(found))


@workflow(schedule="0 2 * * *", timezone="Europe/Berlin")
async def nightly_report(ctx: Ctx) -> str:
    """One line for the whole night."""
    reports = await ctx.map(region_report, await ctx.step(regions), max_concurrent=2)
    best = max(reports, key=lambda report: report.total)
    return f"{sum(report.orders for report in reports)} orders, most in the {best.name}: {best.total:.2f}"


async def main() -> None:
    """One night."""
    with demo.started(
        "examples.flows.nightly:nightly_report", "examples.flows.nightly:region_report"
    ) as shown:
        run = await nightly_report.start()
        shown.console.print(await shown.watch(run))


if __name__ == "__main__":
    asyncio.run(main())
