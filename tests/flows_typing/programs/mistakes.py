"""One mistake on each line that says so at its end: both checkers find each of them, and nothing else."""

# pyright: strict
from __future__ import annotations

from postmill import Ctx, Flow, Partial, Signal, each, workflow
from tests.flows_typing.programs.shop import (
    Approval,
    Order,
    Page,
    Receipt,
    Site,
    Summary,
    approved,
    charge,
    checkout,
    crawl,
    fetch,
    late,
    links,
    parent,
    pay,
    refund,
    region_report,
    report,
    ship,
    site,
)


@site.step
async def w1(page: str = fetch.out) -> int:  # wrong: the edge has another type
    return len(page)


@site.map
async def w2(link: int = links.each) -> int:  # wrong: the item has another type
    return link


@site.map
async def w3(link: str = fetch.each) -> int:  # wrong: no list
    return len(link)


@site.step
async def w4(text: str = report.maybe) -> None:  # wrong: None is not taken
    ...


@site.step
async def w5(order: Order = site.input) -> None:  # wrong: the input has another type
    ...


@site.step
async def w6(url: str = site.input.ulr) -> None:  # wrong: no such field of the input
    ...


@site.step(when=fetch.out.lnag == "en")  # wrong: no such field of an output
async def w7() -> None: ...


@site.step
async def w8(html: int = fetch.out.html) -> None:  # wrong: the field has another type
    ...


@site.step(when=fetch.out.lang == 3)  # wrong: never equal
async def w9() -> None: ...


@site.step(when=fetch.out.lang)  # wrong: no condition
async def w10() -> None: ...


@site.step(on_unmet="skp")  # wrong: no such choice
async def w11() -> None: ...


@site.step(on_dead="collect")  # wrong: for maps only
async def w12() -> None: ...


@site.step(max_concurrent=3)  # wrong: for maps only
async def w13() -> None: ...


@site.map
async def w14(url: str = each(site.input.url_list)) -> int:  # wrong: no such field
    return len(url)


@site.map
async def w15(url: int = each(site.input.urls)) -> int:  # wrong: the item has another type
    return url


@site.map
async def w16(url: str = each(site.input.depth)) -> int:  # wrong: no list
    return len(url)


@site.step
async def w17(pages: Partial[Page] = crawl.partial) -> int:  # wrong: partial of another type
    return len(pages.results)


@site.step
async def w18(pages: list[Page] = crawl.out) -> int:  # wrong: results of another type
    return len(pages)


@site.step
async def w19(pages: Partial[str] = links.partial) -> int:  # wrong: only maps have it
    return len(pages.results)


@site.step
async def w20(reply: Approval = late.out) -> int:  # wrong: a timeout gives None
    return int(reply.ok)


async def undo_number(number: int) -> None: ...


@site.step(compensate=undo_number)  # wrong: takes no text
async def w21(page: Page = fetch.out) -> str:
    return page.html


@site.step(after=["fetch"])  # wrong: a step, not its name
async def w22() -> None: ...


flow = Flow("w23", input=Site, retry="often")  # wrong: no retry policy
child = parent.run(checkout, fetch.out)  # wrong: the child takes another type
asked = site.wait("approved")  # wrong: a signal, not its name
pause = site.sleep("1 day")  # wrong: no duration
signal: Signal[Order] = Signal("order", Site)  # wrong: another type


@workflow
async def w24(ctx: Ctx, order: Order) -> int:
    ctx.step(charge, order)  # wrong: never awaited
    await ctx.step(charge, "nope")  # wrong: argument
    await ctx.step(ship, order, exprss=True)  # wrong: keyword
    number: int = await ctx.step(charge, order)  # wrong: result
    reply: Approval = await ctx.wait(approved, timeout=5)  # wrong: a timeout gives None
    ctx.on_failure(refund, 3)  # wrong: argument
    await ctx.run(checkout, 1)  # wrong: argument
    await ctx.map(region_report, [1])  # wrong: items
    receipts: list[Receipt] = await ctx.map(region_report, ["eu"])  # wrong: results
    await ctx.start(checkout)  # wrong: no argument
    await ctx.transaction(pay, "x")  # wrong: argument
    await ctx.transaction(ship, order)  # wrong: takes no transaction
    await ctx.run(site, order)  # wrong: input
    await ctx.sleep("1 day")  # wrong: no duration
    return number + len(receipts) + int(reply.ok)


@workflow  # wrong: takes no context
async def w25(order: Order) -> int:
    return order.id


async def w26() -> None:
    await checkout.start("x")  # wrong: argument
    run = await checkout.start(Order(1, 1.0))
    number: int = await run.result()  # wrong: result
    await run.signal(approved, "yes")  # wrong: value
    await site.start(Order(1, 2.0))  # wrong: input
    text: int = await run.output(report)  # wrong: output
    await checkout.options(kye="order").start(Order(1, 1.0))  # wrong: option
    await fetch(3)  # wrong: argument
    summary: Summary = await fetch("x")  # wrong: result
    print(number, text, summary)
