"""Flows and workflows run in memory: stand-ins, signals, a clock that jumps, a second pass as a replay."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Context, Ctx, Dead, Flow, Partial, Retry, Signal, each, step, workflow
from postmill.flows.function_calls import use_transport
from postmill.model.errors import (
    InvalidOption,
    InvalidPayload,
    NotFound,
    Refused,
    ReplayMismatch,
    RunFailed,
    StepFailed,
)
from postmill.testing.flows import later, simulate

if TYPE_CHECKING:
    from postmill.handlers.context import Transaction


@dataclass
class Site:
    url: str
    urls: list[str]


@dataclass
class Page:
    html: str
    lang: str


@dataclass
class Approval:
    ok: bool


approved = Signal("approved", Approval)
lines = Signal("lines", str, many=True)
site = Flow("site", input=Site, retry=Retry.fixed(10, 3))


@site.step
async def fetch(url: str = site.input.url) -> Page:
    if url == "dead":
        raise Dead("gone")
    return Page(url, "en")


@site.map(on_dead="collect")
def crawl(url: str = each(site.input.urls), page: Page = fetch.out) -> int:
    if url == "bad":
        raise ValueError("no such site")
    return len(url) + len(page.html)


@site.step(when=fetch.out.lang == "en", delay=5)
async def report(found: Partial[int] = crawl.partial) -> str:
    return f"{sum(found.results)} {[(error.item, error.reason) for error in found.errors]}"


@site.step
async def notify(text: str | None = report.maybe) -> int:
    return 0 if text is None else len(text)


async def test_a_flow_comes_to_what_its_steps_give() -> None:
    run = await simulate(site, Site("a", ["bb", "bad", "c"]))
    assert run.state == "completed"
    assert run.output(fetch) == Page("a", "en")
    assert run.output(crawl) == [3, 2]
    assert run.output(report) == "5 [(1, 'failed 3 of 3 attempts: ValueError: no such site')]"
    assert run.result == {"notify": len(run.output(report))}
    assert run.took_s == 2 * 10 + 5  # two pauses between three attempts, and a delay


async def test_stand_ins_are_called_with_the_same_values_or_are_what_is_given() -> None:
    seen = []

    async def fake(url: str) -> Page:
        seen.append(url)
        return Page("", "de")

    run = await simulate(site, Site("a", ["b"]), fakes={fetch: fake, crawl: 7})
    assert (seen, run.output(crawl), run.result) == (["a"], [7], {"notify": 0})
    assert run.steps["report"].state == "skipped"
    with pytest.raises(NotFound, match="was skipped"):
        run.output(report)
    with pytest.raises(InvalidPayload, match="stands in for step 'fetch'"):
        await simulate(site, Site("a", []), fakes={fetch: 3})


async def test_a_failed_run_names_its_culprit_and_is_undone_backwards() -> None:
    undone: list[Any] = []
    flow = Flow("shop", input=str, retry=Retry.none)

    async def refund(receipt: Page) -> None:
        undone.append(receipt)

    @flow.step(compensate=refund)
    async def charge(order: str = flow.input) -> Page:
        return Page(order, "")

    @flow.step(compensate=undone.append)
    def book(receipt: Page = charge.out) -> str:
        return receipt.html

    @flow.step
    async def ship(number: str = book.out) -> None:
        raise ValueError(number)

    run = await simulate(flow, "a")
    assert (run.state, run.culprit, run.reason) == ("failed", "ship", "failed 1 of 1 attempts: ValueError: a")
    assert (undone, list(run.undone)) == (["a", Page("a", "")], ["book", "charge"])
    with pytest.raises(RunFailed, match="Step 'ship': failed 1 of 1"):
        _ = run.result
    died = await simulate(site, Site("dead", []))
    assert (died.culprit, died.reason, died.took_s) == ("fetch", "gone", 0)
    assert list(died.steps) == ["fetch"]


async def test_waits_sleeps_and_children_take_no_time() -> None:
    flow, begun = Flow("slow", input=Site), time.monotonic()
    answer = flow.wait(approved, timeout=timedelta(days=7))
    rest = flow.sleep(timedelta(days=1), after=[answer])
    child = flow.run(site, flow.input, after=[rest])

    @flow.step
    async def last(reply: Approval | None = answer.out, found: dict[str, Any] = child.out) -> str:
        return f"{reply and reply.ok} {found}"

    silent = await simulate(flow, Site("a", []))
    assert (silent.output(last), silent.took_s) == ("None {'notify': 4}", 8 * 86_400 + 5)
    told = await simulate(flow, Site("a", []), signals={approved: later(60, Approval(True))})
    assert (told.output(last), told.took_s) == ("True {'notify': 4}", 60 + 86_400 + 5)
    late = await simulate(flow, Site("a", []), signals={answer: later(8 * 86_400, Approval(True))})
    assert late.output(last).startswith("None")
    faked = await simulate(flow, Site("a", []), fakes={child: {"a": 1}}, signals={approved: Approval(False)})
    assert (faked.output(last), faked.took_s) == ("False {'a': 1}", 86_400)
    assert time.monotonic() - begun < 30


async def test_what_only_a_server_has_needs_a_stand_in() -> None:
    flow = Flow("needy", input=Site)
    asked = flow.approval(Approval)
    rows = flow.sql("select $1", flow.input.url)

    @flow.step
    async def logs(ctx: Context, found: list[dict[str, Any]] = rows.out) -> int:
        return len(found)

    needs: list[tuple[dict[Any, object], dict[Any, object], str]] = [
        ({}, {}, "waits for the signal 'approval' for ever"),
        ({}, {asked: Approval(True)}, "'sql' asks for its context"),
        ({rows: []}, {asked: Approval(True)}, "'logs' asks for its context"),
    ]
    for fakes, signals, told in needs:
        with pytest.raises(Refused, match=told):
            await simulate(flow, Site("a", []), fakes=fakes, signals=signals)
    run = await simulate(
        flow, Site("a", []), fakes={rows: [{"a": 1}], logs: len}, signals={asked: Approval(True)}
    )
    assert run.state == "failed"  # len takes no argument by name: a stand-in is called as the step is


async def test_signals_are_checked() -> None:
    with pytest.raises(InvalidPayload):
        await simulate(site, Site("a", []), signals={approved: "yes"})
    with pytest.raises(InvalidOption, match="which nothing waits for"):
        await simulate(site, Site("a", []), signals={"approved": Approval(True)})


@step(retry=Retry.fixed(60, 3))
async def charge(order: Site) -> str:
    return order.url


@step(retry=Retry.none)
async def ship(receipt: str) -> str:
    if receipt == "dead":
        raise Dead("no such address")
    return f"track {receipt}"


async def refund(receipt: str) -> None: ...


@workflow
async def checkout(ctx: Ctx, order: Site, limit: int = 1) -> str:
    receipt = await ctx.step(charge, order)
    ctx.on_failure(refund, receipt)
    ctx.emit("charged", receipt)
    if limit > 1:
        answer = await ctx.wait(approved, timeout=3600)
        if answer is None or not answer.ok:
            raise Dead("not approved")
    return await ctx.step(ship, receipt)


async def test_a_workflow_comes_to_what_it_returns() -> None:
    run = await simulate(checkout, Site("a", []))
    assert (run.state, run.result, run.took_s) == ("completed", "track a", 0)
    assert {name: ended.output for name, ended in run.steps.items()} == {"charge": "a", "ship": "track a"}
    assert run.events == [("charged", "a")]


async def test_a_workflow_that_fails_is_undone_by_stand_ins_too() -> None:
    undone: list[str] = []
    run = await simulate(checkout, Site("dead", []), fakes={refund: undone.append})
    assert (run.state, run.culprit) == ("failed", "ship")
    assert "no such address" in run.reason
    assert (undone, run.undone) == (["dead"], ["refund"])
    late = await simulate(checkout, Site("a", []), 2)
    assert (late.culprit, late.reason, late.took_s) == (None, "not approved", 3600)
    told = await simulate(checkout, Site("a", []), 2, signals={approved: later(60, Approval(True))})
    assert (told.result, told.took_s) == ("track a", 60)


async def test_attempts_of_a_step_are_counted_by_the_clock() -> None:
    attempts = count(1)

    def flaky(order: Site) -> str:
        if next(attempts) < 3:
            raise ValueError
        return order.url

    run = await simulate(checkout, Site("a", []), fakes={charge: flaky})
    assert (run.result, run.took_s) == ("track a", 120)


async def pay(transaction: Transaction, order: str) -> int:
    await transaction.execute("select 1")
    return len(order)


@workflow
async def everything(ctx: Ctx) -> list[Any]:
    slow = asyncio.create_task(ctx.sleep(100))
    waits: Any = (ctx.wait(lines), ctx.wait(lines, timeout=30))
    first, second = await asyncio.gather(*waits)
    third = await ctx.wait(lines, timeout=30)
    child = await ctx.run(checkout, Site(first, []))
    found = await ctx.run(site, Site("a", ["b"]))
    mapped = await ctx.map(ship, ["x", "y"], max_concurrent=1)
    children = await ctx.map(checkout, [Site("m", [])])
    handle = await ctx.start(checkout, Site("s", []))
    called = await ctx.call("summarize", {"a": 1})
    paid = await ctx.transaction(pay, "abc")
    await slow
    return [
        first,
        second,
        third,
        child,
        found,
        mapped,
        children,
        handle.of.name,
        called,
        paid,
        ctx.patched("p"),
    ]


async def test_every_call_of_the_context() -> None:
    run = await simulate(
        everything,
        fakes={pay: len, "summarize": {"b": 2}},
        signals={lines: ["one", later(20, "two")]},
    )
    assert run.result == [
        *("one", "two", None),
        "track one",
        {"notify": 4},
        ["track x", "track y"],
        ["track m"],
        *("checkout", {"b": 2}, 3, True),
    ]
    assert run.took_s == 100
    assert run.started == ["checkout"]
    assert {"lines", "lines#2", "lines#3", "ship[0]", "ship[1]", "checkout#2[0]"} <= run.steps.keys()


async def test_what_a_workflow_needs_of_a_server_needs_a_stand_in() -> None:
    with pytest.raises(Refused, match="waits for the signal 'lines' for ever"):
        await simulate(everything)
    signals = {lines: ["one", "two", "three"]}
    unreached = await simulate(everything, signals=signals)
    assert "say where functions are served" in unreached.reason
    use_transport(lambda function, body: asyncio.sleep(0, function))
    try:
        with pytest.raises(Refused, match="'pay' asks for a transaction"):
            await simulate(everything, signals=signals)
    finally:
        use_transport(None)


async def test_a_function_that_takes_another_way_when_it_runs_again_is_told() -> None:
    """The clock and chance are no inputs: in a replay they say something else."""
    turns = count()

    @workflow(name="other_arguments")
    async def other_arguments(ctx: Ctx) -> str:
        return await ctx.step(ship, f"{next(turns)}")

    @workflow(name="fewer_steps")
    async def fewer_steps(ctx: Ctx) -> None:
        if next(turns) % 2 == 0:
            await ctx.step(ship, "a")

    @workflow(name="more_steps")
    async def more_steps(ctx: Ctx) -> None:
        if next(turns) % 2 == 1:
            await ctx.step(ship, "a")

    @workflow(name="another_end")
    async def another_end(ctx: Ctx) -> int:
        return ctx.run_id + next(turns)

    for wrong in (other_arguments, fewer_steps, more_steps, another_end):
        turns = count()
        with pytest.raises(ReplayMismatch):
            await simulate(wrong)


async def test_a_failure_that_is_caught_is_caught_in_the_replay_too() -> None:
    @workflow(name="catches")
    async def catches(ctx: Ctx) -> str:
        try:
            return await ctx.step(ship, "dead")
        except StepFailed as failed:
            return failed.reason

    assert (await simulate(catches)).result == "no such address"


async def test_a_step_that_calls_a_step_fails_as_on_a_worker() -> None:
    @workflow
    async def nested(ctx: Ctx) -> str:
        async def outer() -> str:
            return await ctx.step(ship, "a")

        return await ctx.step(outer)

    run = await simulate(nested)
    assert (run.state, run.took_s) == ("failed", 0)
    assert "'ship' can't be a step inside the step 'outer'" in run.reason
