"""The worker: it knows nothing of tenants, and notes how long each message has waited."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from postmill import Context, worker


@dataclass
class Render:
    """A page of a tenant that is to be rendered."""

    tenant: str
    page: int


@worker(queue="renders", max_concurrent=6)
async def render(order: Render, ctx: Context) -> None:
    """Render a page, which takes a tenth of a second."""
    waited = datetime.now(UTC) - ctx.message.enqueued_at
    await asyncio.sleep(0.1)
    async with ctx.transaction() as tx:
        await tx.execute(
            "insert into tenants.rendered (tenant, page, waited_ms) values ($1, $2, $3)",
            order.tenant,
            order.page,
            waited.total_seconds() * 1000,
        )
