"""What a retry of a durable function's run does again: what made it fail, and nothing that it has caught."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Dead
from postmill.flows import Ctx, workflow
from postmill.flows.running.workflow_handler import WorkflowHandler
from postmill.model.errors import StepFailed
from tests.service.running import running
from tests.service.test_durable import end_of, start

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.service.running import Running

    Body = Callable[[Ctx], Awaitable[object]]

broken = True
"""Whether every step fails: until the cause is mended."""
done: list[str] = []
"""The steps that were called."""


async def work(name: str) -> str:
    done.append(name)
    if broken:
        raise Dead(f"no {name}")
    return name


def does(ctx: Ctx, name: str) -> Awaitable[Any]:
    """A step of this name."""
    return ctx.named(name).step(work, name)


async def caught(ctx: Ctx, name: str) -> None:
    """One whose failure the function has an answer to."""
    try:
        await does(ctx, name)
    except StepFailed:
        return


async def one_after_the_other(ctx: Ctx) -> None:
    await caught(ctx, "a")
    await does(ctx, "b")


async def both_of_a_gather(ctx: Ctx) -> None:
    await asyncio.gather(does(ctx, "a"), does(ctx, "b"))


async def branches_of_a_gather(ctx: Ctx) -> None:
    """Either fails for a step of its own; what the first has caught is no reason."""

    async def first() -> None:
        await caught(ctx, "a")
        await does(ctx, "b")

    async def second() -> None:
        await does(ctx, "c")

    await asyncio.gather(first(), second())


async def both_of_a_group(ctx: Ctx) -> None:
    async def branch(name: str) -> None:
        await does(ctx, name)

    async with asyncio.TaskGroup() as group:
        for name in "ab":
            group.create_task(branch(name))


async def two_maps(ctx: Ctx) -> None:
    await asyncio.gather(
        ctx.named("low").map(work, ["a", "b"], max_concurrent=1), ctx.named("high").map(work, ["c"])
    )


async def values_of_a_gather(ctx: Ctx) -> None:
    """It has looked at these, and gone on."""
    await asyncio.gather(does(ctx, "a"), does(ctx, "b"), return_exceptions=True)
    await does(ctx, "c")


async def raised_from(ctx: Ctx) -> None:
    try:
        await does(ctx, "a")
    except StepFailed as failure:
        await caught(ctx, "b")
        raise LookupError("no goods") from failure


async def caught_after_it_was_under_way(ctx: Ctx) -> None:
    first: asyncio.Task[Any] = asyncio.create_task(does(ctx, "a"))  # type: ignore[arg-type]
    await asyncio.wait({first})
    await caught(ctx, "b")
    await first


@pytest.mark.parametrize(
    ("body", "again"),
    [
        (one_after_the_other, "b"),
        (both_of_a_gather, "ab"),
        (branches_of_a_gather, "bc"),
        (both_of_a_group, "ab"),
        (two_maps, "abc"),
        (values_of_a_gather, "c"),
        (raised_from, "a"),
        (caught_after_it_was_under_way, "a"),
    ],
)
async def test_one_retry_does_again_what_made_the_run_fail(
    database_url: str, body: Body, again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gather of two that failed took two retries, and a failure that was caught was done again:
    the function came another way than it had gone.
    """
    monkeypatch.setitem(globals(), "broken", True)

    @workflow(name="retried")
    async def retried(ctx: Ctx) -> str:
        await body(ctx)
        return "done"

    async with running(database_url, retried.handler()) as run:
        run_id = await start(run, retried)
        assert (await end_of(run, run_id))[0] == "failed"
        done.clear()
        monkeypatch.setitem(globals(), "broken", False)
        assert await run.db.fetchval("select postmill.retry_run($1)", run_id)
        assert await end_of(run, run_id) == ("completed", "done")
    assert sorted(done) == sorted(again)


async def test_a_run_that_its_own_raise_has_failed_runs_again_over_its_records(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A raise for what it has caught fails it again, and a fork does the step anew."""
    monkeypatch.setitem(globals(), "broken", True)
    runs: list[int] = []

    @workflow(name="judged")
    async def judged(ctx: Ctx) -> str:
        runs.append(1)
        try:
            await does(ctx, "a")
        except StepFailed:
            raise Dead("no goods") from None
        return "done"

    async with running(database_url, judged.handler()) as run:
        run_id = await start(run, judged)
        assert await end_of(run, run_id) == ("failed", "no goods")
        done.clear()
        monkeypatch.setitem(globals(), "broken", False)
        assert await run.db.fetchval("select postmill.retry_run($1)", run_id)
        assert await end_of(run, run_id) == ("failed", "no goods")
        assert (done, len(runs)) == ([], 2)
        forked = await run.db.fetchval("select postmill.fork_run($1, 'a')", run_id)
        assert await end_of(run, forked) == ("completed", "done")
    assert done == ["a"]


class Slow:
    """A step that is under way when its run ends, and how it is let go."""

    def __init__(self) -> None:
        self.at_work, self.go_on = asyncio.Event(), asyncio.Event()

    async def wait(self, name: str) -> str:
        self.at_work.set()
        await self.go_on.wait()
        return await work(name)


late = Slow()


async def slow(name: str) -> str:
    return await late.wait(name)


@workflow(name="part", queue="cut")
async def part(ctx: Ctx, name: str) -> str:
    found: str = await ctx.step(slow, name)
    return found


async def under_way(ctx: Ctx) -> None:
    await ctx.step(slow, "a")


async def an_item_of_a_map(ctx: Ctx) -> None:
    """A map tells its function of no failure before all its items have ended. Nothing is undone."""

    async def item(name: str) -> str:
        return await (slow if name == "b" else work)(name)

    ctx.on_failure(work, "undone")
    await ctx.map(item, ["a", "b"])


async def after_a_caught_failure(ctx: Ctx) -> None:
    await caught(ctx, "a")
    await ctx.step(slow, "b")


async def runs_of_a_map(ctx: Ctx) -> None:
    """They are cancelled with the run that waits for them."""
    await ctx.map(part, ["a"])


async def deadline(run: Running, run_id: int) -> None:
    await run.db.execute("update postmill.runs set deadline = now() where run_id = $1", run_id)
    await run.true_in_database(
        f"postmill.sweep_flows() is null or ended_at is not null from postmill.runs where run_id = {run_id}"
    )


async def cancellation(run: Running, run_id: int) -> None:
    await run.db.execute("select postmill.cancel_run($1)", run_id)


@pytest.mark.parametrize("ends", [deadline, cancellation])
@pytest.mark.parametrize(
    ("body", "failed", "again"),
    [
        (under_way, 0, "a"),
        (an_item_of_a_map, 1, "ab"),
        (after_a_caught_failure, 1, "b"),
        (runs_of_a_map, 0, "a"),
    ],
)
async def test_one_retry_does_of_a_run_that_was_cut(
    database_url: str,
    ends: Callable[[Running, int], Awaitable[None]],
    body: Body,
    failed: int,
    again: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What failed when its run had ended, and what its function had not been told of, was kept as a failure:
    the retry failed by it, and a second one did it again.
    """
    monkeypatch.setitem(globals(), "broken", True)
    monkeypatch.setitem(globals(), "late", Slow())
    done.clear()

    @workflow(name="cut", queue="cut")
    async def cut(ctx: Ctx) -> str:
        await body(ctx)
        return "done"

    async with running(database_url, WorkflowHandler(cut, part)) as run:
        run_id = await start(run, cut)
        await late.at_work.wait()
        await run.true_in_database(f"count(*) = {failed} from postmill.steps where state = 'failed'")
        await ends(run, run_id)
        late.go_on.set()
        await run.true_in_database("not exists (select from pgmq.q_cut)")
        done.clear()
        monkeypatch.setitem(globals(), "broken", False)
        assert await run.db.fetchval("select postmill.retry_run($1)", run_id)
        assert await end_of(run, run_id) == ("completed", "done")
    assert sorted(done) == sorted(again)
