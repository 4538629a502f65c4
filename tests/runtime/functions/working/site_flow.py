"""A flow of two steps whose first one waits for a row, and workflows. Another function imports them."""

import asyncio
import os
from dataclasses import dataclass

from postmill import Context
from postmill.flows import Ctx, Flow, workflow


@dataclass
class Site:
    """What a run is of."""

    url: str


site = Flow[Site]("site", input=Site)


@site.step
async def fetch(ctx: Context, url: str = site.input.url) -> str:
    """Notes who runs it, and ends when a row says so."""
    async with ctx.db as connection:
        await connection.execute("insert into runs values (0, $1)", os.getpid())
        while not await connection.fetchval("select exists (select from gates where name = $1)", url):
            await asyncio.sleep(0.02)
    return url


@site.step
async def report(url: str = fetch.out) -> list[object]:
    """Who runs the step behind it."""
    return [url, os.getpid()]


@workflow
async def greet(ctx: Ctx, name: str) -> str:
    """A durable function."""
    return f"hello {await ctx.step(upper, name)}"


@workflow(queue="greet")
async def leave(ctx: Ctx, name: str) -> str:
    """Another one, on the same queue."""
    return f"bye {await ctx.step(upper, name)}"


async def upper(name: str) -> str:
    """A step."""
    return name.upper()
