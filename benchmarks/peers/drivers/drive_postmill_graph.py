"""Postmill's graph flows: each step a message."""

from postmill_flows import NAME, drive_flows

from postmill.flows import Flow, each

SETTINGS = "max_concurrent=100, otherwise defaults"


def flow_of(feature, steps, handle):
    return mapping(handle) if feature == "map" else chain(steps, handle)


def mapping(handle):
    flow = Flow(NAME, input=list[int], max_concurrent=100)

    @flow.map
    async def item(number: int = each(flow.input)) -> int:
        await handle(number)
        return number

    return flow


def chain(steps, handle):
    flow = Flow(NAME, input=int, max_concurrent=100)
    before = flow.input
    for place in range(steps):

        @flow.step(name=f"step_{place}")
        async def step(number: int = before) -> int:
            await handle(number)
            return number

        before = step.out
    return flow


drive_flows(SETTINGS, flow_of)
