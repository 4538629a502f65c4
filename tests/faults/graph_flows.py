"""Graph flows that use every statement about steps, each in one run, and what their runs must come to."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from postmill import Dead, Flow, Retry, Signal

AGAIN = Retry.fixed(0, max_attempts=50)
"""An attempt whose claim was lost with the connection may count."""


class Fare(BaseModel):
    """What only a program can check."""

    pence: int = Field(gt=0)


go: Signal[int] = Signal("go", int)
leg = Flow("leg", input=int, retry=AGAIN)
voyage = Flow("voyage", input=int, retry=AGAIN)
wreck = Flow("wreck", input=int, retry=AGAIN)


@leg.step
async def doubled(n: int = leg.input) -> int:
    return 2 * n


@voyage.step
async def ports(n: int = voyage.input) -> list[int]:
    return [n, n + 1, n + 2]


@voyage.map(max_concurrent=1)
async def visited(port: int = ports.each) -> int:
    return 10 * port


@voyage.step(on_dead="skip")
async def sunk(n: int = voyage.input) -> int:
    raise Dead(f"no ship {n}")


answered = voyage.wait(go)
sailed = voyage.run(leg, voyage.input)


@voyage.step
async def told(
    all_of: list[int] = visited.out,
    lost: int | None = sunk.maybe,
    signal: int = answered.out,
    double: int = sailed.out["doubled"],
) -> list[int | None]:
    return [*all_of, lost, signal, double]


async def repair(_: int) -> None:
    """Undoes ``hired``."""


async def fail_to_repair(_: int) -> None:
    """Can't undo ``loaded``."""
    raise Dead("the crane is gone")


@wreck.step(compensate=repair)
async def hired(n: int = wreck.input) -> int:
    return n


@wreck.step(compensate=fail_to_repair)
async def loaded(n: int = hired.out) -> int:
    return n


@wreck.step
async def lost(n: int = loaded.out) -> int:
    raise Dead(f"storm {n}")


ticket = Flow("ticket", input=Fare, retry=AGAIN)


@ticket.step(on_dead="skip")
async def paid(pence: int = ticket.input.pence) -> int:
    return pence


HANDLERS = (leg, voyage, wreck, ticket)
BEGIN = """
with begun as materialized (
    select postmill.start_flow('voyage', '7') as sails, postmill.start_flow('wreck', '7') as breaks,
           postmill.start_flow('leg', '7') as rests, postmill.start_flow('leg', '8') as stops,
           postmill.start_flow('ticket', '{"pence": 0}') as cheats
), steered as materialized (
    select postmill.signal_run(sails, $1, '5'), postmill.pause_run(rests), postmill.cancel_run(stops)
      from begun
)
select to_jsonb(begun) from begun, steered
"""
"""The transaction also pauses the third and cancels the fourth: their messages are there all the same."""
GIVEN: dict[str, Any] = {
    "sails": ("completed", {"told": [70, 80, 90, None, 5, 14]}),
    "breaks": ("failed", None),
    "rests": ("completed", {"doubled": 14}),
    "stops": ("cancelled", None),
    "cheats": ("failed", None),
}
"""State and output of each run in the end."""
