"""A durable function that runs a graph flow gets what that gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill import Ctx, Flow, workflow
from postmill.testing import drain

if TYPE_CHECKING:
    import pytest

doubling = Flow("doubling", input=int)


@doubling.step
async def double(number: int = doubling.input) -> int:
    return 2 * number


@workflow
async def quadruple(ctx: Ctx, number: int) -> int:
    first = await ctx.run(doubling, number)
    second = await ctx.run(doubling, first["double"])
    return int(second["double"])


async def test_the_outputs_of_a_graph_are_those_of_its_last_steps(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row of a graph's run has no output: its parent was given null."""
    monkeypatch.setenv("POSTMILL_DB_URL", database_url)
    flows: tuple[Any, ...] = (quadruple, doubling)
    await drain(*flows, database=database_url)  # a worker that starts says what it has
    run = await quadruple.start(3)
    await drain(*flows, database=database_url)
    assert await run.result() == 12
