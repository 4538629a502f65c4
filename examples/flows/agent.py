"""An agent's loop: think, use a tool, tell each turn to those who watch, ask a person and wait.

The model is twenty lines of rules in ``model.py``, so that the demo needs no network. It is called as a step,
so no answer of it is asked for twice, however often the process dies: ``python -m examples.flows.agent``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from examples.flows import demo
from examples.flows.model import Turn, think
from postmill import Ctx, Signal, step, workflow
from postmill.flows.events import Emitted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FARES = {"lisbon": 120, "oslo": 210, "rome": 95}
PATIENCE = 600.0
TURNS = 20
said = Signal("said", str, many=True)


@step(timeout=10)
async def fare(city: str) -> str:
    """A tool: what it costs to go there."""
    return f"the fare is {FARES[city]}"


@step(timeout=10)
async def nights(count: str) -> str:
    """A tool: what so many nights cost."""
    return f"the nights cost {80 * int(count)}"


TOOLS: dict[str, Callable[[str], Awaitable[str]]] = {"fare": fare, "nights": nights}


@workflow
async def agent(ctx: Ctx, goal: str) -> str:
    """Take turns until the model has an answer."""
    history = [f"person: {goal}"]
    for _ in range(TURNS):
        turn: Turn = await ctx.step(think, history)
        ctx.emit("turn", {"does": turn.does, "says": turn.says})
        history.append(f"model: {turn.says}")
        if turn.does == "answer":
            return turn.says
        if turn.does == "ask":
            answer = await ctx.wait(said, timeout=PATIENCE)
            if answer is None:
                return "no answer came"
            history.append(f"person: {answer}")
        else:
            history.append(f"{turn.does}: {await ctx.step(TOOLS[turn.does], turn.argument)}")
    return "too many turns"


async def main() -> None:
    """Ask the agent, and answer what it asks."""
    with demo.started("examples.flows.agent:agent") as shown:
        run = await agent.start("I want to travel")
        answers = iter(("to Lisbon", "3 nights"))
        async for event in run.events():
            if isinstance(event, Emitted):
                turn = event.value
                shown.console.print(f"{turn['does']:>6}  {turn['says']}")
                if turn["does"] == "ask":
                    answer = next(answers)
                    shown.console.print(f"   you  {answer}")
                    await run.signal(said, answer)
        await shown.watch(run)


if __name__ == "__main__":
    asyncio.run(main())
