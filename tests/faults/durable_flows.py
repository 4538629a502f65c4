"""Workflows whose steps never give the same twice: a value that was recorded and lost is seen."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from postmill.flows import Ctx, Signal, workflow

if TYPE_CHECKING:
    from postmill.handlers.context import Transaction

TABLE = "create table effects (run_id bigint, number bigint)"
QUEUE = "durable"

go: Signal[int] = Signal("go", int)


async def number(_n: int) -> int:
    """Another one at each call."""
    return random.randint(1, 10**15)


async def write(tx: Transaction, run_id: int) -> int:
    """An effect that must be there once, with the number that is recorded."""
    found = random.randint(1, 10**15)
    await tx.execute("insert into effects values ($1, $2)", run_id, found)
    return found


@workflow(queue=QUEUE)
async def leg(ctx: Ctx, n: int) -> int:
    """A child."""
    return await ctx.step(number, n)


@workflow(queue=QUEUE)
async def journey(ctx: Ctx, n: int) -> list[Any]:
    """Every kind of step."""
    first = await ctx.step(number, n)
    pair = await asyncio.gather(ctx.step(number, 1), ctx.step(number, 2))
    written = await ctx.transaction(write, ctx.run_id)
    answer = await ctx.wait(go)
    await ctx.sleep(0.001)
    inner = await ctx.run(leg, n)
    last = await ctx.step(number, n)
    return [first, *pair, written, answer, inner, last]


RECORDED = ("number", "number#2", "number#3", "write", "go", "leg", "number#4")
"""The steps of a journey, in the order of its output."""
START = "select postmill.start_flow('journey', '{\"n\": 1}')"
MISTAKES = """
select r.run_id, r.state, r.output, r.reason, s.steps, e.numbers
  from postmill.runs as r
  cross join lateral (
      select jsonb_agg(s.output order by array_position($1::text[], s.step)) as steps
        from postmill.steps as s where s.run_id = r.run_id and s.step = any ($1::text[])) as s
  cross join lateral (
      select array_agg(e.number::text) as numbers from effects as e where e.run_id = r.run_id) as e
 where r.flow = 'journey'
   and (r.state <> 'completed' or r.output is distinct from s.steps
        or e.numbers is distinct from array[r.output ->> 3])
"""
"""Runs that have not ended well, whose result is not what is recorded, or whose effect is not there once."""
