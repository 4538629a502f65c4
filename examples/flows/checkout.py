"""A durable function: charge, wait for an approval, ship; and refund when it can't be shipped.

Three orders: a small one, a large one that is approved, and a large one about which the shop says nothing
until the time is over: ``python -m examples.flows.checkout``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from examples.flows import demo
from postmill import Ctx, Dead, Retry, Signal, step, workflow
from postmill.model.errors import RunFailed

LARGE = 1000
PATIENCE = 3.0
"""Seconds for the approval. In a shop it would be a day."""


@dataclass
class Order:
    """What a customer wants."""

    number: int
    total: float


@dataclass
class Receipt:
    """What the bank says of a charge."""

    charge: str
    total: float


@dataclass
class Approval:
    """What the shop says of a large order."""

    ok: bool
    by: str


approved = Signal("approved", Approval)


@step(retry=Retry.exponential(max_attempts=4, base=0.2), timeout=10)
async def charge(order: Order) -> Receipt:
    """Take the money. The order's number keeps the bank from taking it twice."""
    return Receipt(f"charge-{order.number}", order.total)


async def refund(receipt: Receipt) -> str:
    """Give it back."""
    return f"{receipt.total} of {receipt.charge} given back"


async def ship(order: Order, *, express: bool = False) -> str:
    """Send the parcel; returns its number."""
    return f"{'express' if express else 'parcel'}-{order.number}"


@workflow(deadline=timedelta(days=7))
async def checkout(ctx: Ctx, order: Order) -> str:
    """From the order to the parcel. What a crash interrupts goes on after the last step that ended."""
    receipt = await ctx.step(charge, order)
    ctx.on_failure(refund, receipt)
    if order.total > LARGE:
        answer = await ctx.wait(approved, timeout=PATIENCE)
        if answer is None:
            raise Dead(f"not approved within {PATIENCE:.0f} seconds")
        if not answer.ok:
            raise Dead(f"refused by {answer.by}")
    return await ctx.step(ship, order, express=order.total > LARGE)


async def main() -> None:
    """Three orders at once."""
    with demo.started("examples.flows.checkout:checkout") as shown:
        small, large, forgotten = [
            await checkout.start(Order(number, total))
            for number, total in ((1, 20.0), (2, 2000.0), (3, 3000.0))
        ]
        await large.signal(approved, Approval(ok=True, by="ada"))
        for run in (small, large, forgotten):
            shown.console.print(f"\nOrder of run {run.run_id}")
            try:
                shown.console.print(f"shipped as {await shown.watch(run)}")
            except RunFailed as error:
                shown.console.print(f"{error.what} {error.why}")


if __name__ == "__main__":
    asyncio.run(main())
