"""What both programs build on: the right one must please each checker, line by line."""

# pyright: strict
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_type

from postmill import Context, Ctx, Dead, Flow, Partial, Retry, Signal, each, not_, step, workflow
from postmill.handlers.context import Transaction


@dataclass
class Site:
    """A flow's input."""

    url: str
    urls: list[str]
    depth: int


@dataclass
class Page:
    """What a step gives."""

    html: str
    lang: str
    ok: bool


@dataclass
class Summary:
    """What an item of a map gives."""

    text: str


@dataclass
class Order:
    """The argument of a workflow."""

    id: int
    total: float


@dataclass
class Receipt:
    """What is compensated."""

    charge_id: str


@dataclass
class Approval:
    """A signal's value."""

    ok: bool


approved = Signal("approved", Approval)
lines = Signal("lines", str, many=True)

site = Flow("analyze_site", input=Site, retry=Retry.exponential(), max_concurrent=20)


@site.step
async def fetch(url: str = site.input.url) -> Page:
    return Page(url, "en", True)


@site.step(retry=Retry.fixed(3, max_attempts=2), timeout=timedelta(seconds=30))
async def links(ctx: Context, page: Page = fetch.out, depth: int = site.input.depth) -> list[str]:
    return [page.html] * depth


@site.map(max_concurrent=20, on_dead="collect")
async def crawl(link: str = links.each) -> Summary:
    return Summary(link)


@site.map
def weigh(url: str = each(site.input.urls), html: str = fetch.out.html) -> int:
    return len(url) + len(html)


@site.step(when=fetch.out.lang == "en", on_unmet="skip", priority=9, queue="reports", delay=1.5)
async def report(page: Page = fetch.out, pages: Partial[Summary] = crawl.partial) -> str:
    return f"{page.html}: {len(pages.results)} of {len(pages.errors)}"


@site.step(after=[report, weigh])
async def notify(text: str | None = report.maybe, found: list[Summary] = crawl.out) -> None: ...


@site.map
async def again(summary: Summary = crawl.each, weights: list[int] = weigh.out) -> str:
    return summary.text * sum(weights)


@site.step(when=(fetch.out.lang == "en") & fetch.has({"ok": True}) & fetch.out.ok)
def plain(page: Page = fetch.out) -> int:
    return len(page.html)


@site.step(when=not_(fetch.out.ok) | ~site.has({"depth": 1}))
def other(page: Page = fetch.out) -> int:
    return len(page.html)


async def refund(receipt: Receipt) -> None: ...


@site.step(compensate=refund, timeout=3)
async def charge_site(url: str = site.input.url) -> Receipt:
    return Receipt(url)


@site.step(compensate=refund)
def book(receipt: Receipt = charge_site.out) -> Receipt:
    return receipt


answer = site.wait(approved, after=[charge_site])
late = site.wait(approved, timeout=60, name="late")
asked = site.approval(Approval, when=fetch.out.ok)
asked_late = site.approval(Approval, name="asked_late", timeout=timedelta(days=1))
pause = site.sleep(timedelta(minutes=1))
rows = site.sql("select $1 as url", fetch.out.html)
called = site.call("summarize", fetch.out, timeout=10, on_dead="skip")


@site.step
async def decide(
    yes: Approval = answer.out,
    perhaps: Approval | None = late.out,
    never: Approval | None = asked.maybe,
    found: list[dict[str, object]] = rows.out,
) -> bool:
    return yes.ok and perhaps is not None


@step(retry=Retry.exponential(), timeout=10)
async def charge(order: Order) -> Receipt:
    return Receipt(str(order.id))


async def ship(order: Order, *, express: bool = False) -> str:
    return f"{order.id} {express}"


@step
def size(text: str) -> int:
    return len(text)


async def pay(transaction: Transaction, order: Order) -> int:
    await transaction.execute("select 1")
    return order.id


@workflow(deadline=timedelta(days=7), retry=Retry.fixed(1))
async def checkout(ctx: Ctx, order: Order) -> str:
    receipt = await ctx.step(charge, order)
    ctx.on_failure(refund, receipt)
    if order.total > 1000:
        reply = await ctx.wait(approved, timeout=86400)
        if reply is None or not reply.ok:
            raise Dead("not approved")
    length = await ctx.step(size, "text")
    paid = await ctx.transaction(pay, order)
    assert_type(receipt, Receipt)
    assert_type(length, int)
    assert_type(paid, int)
    return await ctx.named("ship it").step(ship, order, express=True)


@workflow
async def region_report(ctx: Ctx, region: str) -> int:
    first = await ctx.wait(approved)
    assert_type(first, Approval)
    assert_type(await ctx.wait(lines, timeout=timedelta(hours=1)), str | None)
    ctx.emit("seen", region)
    return len(region) if ctx.patched("length") else 0


async def regions_of(day: str) -> Sequence[str]:
    return [day]


@workflow
async def nightly(ctx: Ctx) -> int:
    regions = await ctx.step(regions_of, "today")
    counts = await ctx.map(region_report, regions, max_concurrent=5)
    sizes = await ctx.map(size, regions)
    receipts = await ctx.map(charge, [Order(1, 2.0)])
    one = await ctx.run(region_report, "eu")
    handle = await ctx.start(checkout, Order(1, 2.0))
    both: tuple[Receipt, int] = await asyncio.gather(ctx.step(charge, Order(1, 1.0)), ctx.step(size, "a"))
    await ctx.sleep(timedelta(days=1))
    whole = await ctx.run(site, Site("", [], 1))
    assert_type(counts, list[int])
    assert_type(sizes, list[int])
    assert_type(receipts, list[Receipt])
    assert_type(one, int)
    assert_type(await handle.result(), str)
    return sum(counts) + len(whole) + both[1]


parent = Flow("parent", input=Order)
child = parent.run(checkout, parent.input)


@parent.step
async def track(number: str = child.out) -> str:
    return number


def markers() -> None:
    """What stands for a value has its type."""
    assert_type(fetch.out, Page)
    assert_type(fetch.out.lang, str)
    assert_type(fetch.maybe, Page | None)
    assert_type(links.each, str)
    assert_type(crawl.out, list[Summary])
    assert_type(crawl.each, Summary)
    assert_type(crawl.partial, Partial[Summary])
    assert_type(site.input.depth, int)
    assert_type(each(site.input.urls), str)
    assert_type(charge_site.out, Receipt)
    assert_type(book.out, Receipt)
    assert_type(late.out, Approval | None)
    assert_type(answer.out, Approval)
    assert_type(child.out, str)
    assert_type(asked_late.out, Approval | None)
    assert_type(pause.out, None)


async def use() -> None:
    run = await checkout.options(key="order-1", delay=3, tags=["a"]).start(Order(1, 2.0))
    assert_type(await run.result(), str)
    await run.signal(approved, Approval(True))
    other_run = await site.start(Site("x", [], 1))
    assert_type(await other_run.output(report), str)
    assert_type(await other_run.output(crawl), list[Summary])
    page = await fetch("x")
    assert_type(page, Page)
    assert_type(weigh("x", ""), int)
