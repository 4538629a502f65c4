"""Postmill's durable functions: each step a checkpoint."""

from postmill_flows import NAME, drive_flows

from postmill.flows import Ctx, workflow

SETTINGS = "max_concurrent=100, otherwise defaults"


def flow_of(feature, _steps, handle):
    async def step(number: int) -> int:
        await handle(number)
        return number

    @workflow(name=NAME, max_concurrent=100)
    async def mapping(ctx: Ctx, items: list[int]) -> None:
        await ctx.map(step, items)

    @workflow(name=NAME, max_concurrent=100)
    async def chain(ctx: Ctx, steps: int) -> None:
        for number in range(steps):
            await ctx.step(step, number)

    return mapping if feature == "map" else chain


drive_flows(SETTINGS, flow_of)
