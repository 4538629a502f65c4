"""What users of other systems have reported as bugs of flows, tried here. Each test names its report."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Ctx, workflow
from postmill.flows.flow import Flow
from postmill.flows.steps import each
from postmill.model.events import Event
from postmill.model.queue.outcome import Retry
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    import asyncpg


async def test_one_run_that_can_not_begin_holds_no_other_up(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """https://github.com/dbos-inc/dbos-transact-py/issues/546: the rest of what was dequeued stood. A form of
    text is checked by the worker only.
    """

    @workflow
    async def double(ctx: Ctx, n: timedelta) -> timedelta:
        return 2 * n

    async with running(database_url, double.handler()):
        runs = [
            await adb.fetchval("select postmill.start_flow('double', $1::jsonb)", given)
            for given in ('{"n": "PT1S"}', '{"n": "no time"}', '{"n": "PT3S"}')
        ]
        async with asyncio.timeout(GIVE_UP_S):
            while await adb.fetchval(  # noqa: ASYNC110 - nobody says it
                "select count(*) from postmill.run_list where ended_at is null"
            ):
                await asyncio.sleep(0.01)
    states = "select array_agg(state order by run_id) from postmill.run_list where run_id = any ($1)"
    assert await adb.fetchval(states, runs) == ["completed", "failed", "completed"]


async def test_a_sleeping_run_outlives_the_worker_that_drains(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """https://github.com/dbos-inc/dbos-transact-py/issues/804: the old worker took it back, and it stood."""

    @workflow
    async def naps(ctx: Ctx) -> str:
        await ctx.sleep(0.3)
        return "awake"

    async with running(database_url, naps.handler()) as old, running(database_url, naps.handler()):
        run = await naps.options(connection=adb).start()
        await old.true_in_database("exists (select from postmill.runs where state = 'waiting')")
        await old.engine.stop("test")
        assert await run.result(timeout=GIVE_UP_S) == "awake"


async def test_an_empty_key_is_refused(database_url: str, adb: asyncpg.Connection) -> None:
    """https://github.com/dbos-inc/dbos-transact-py/issues/759: a run under it was done again and again."""
    flow = Flow("keyed", input=int)
    flow.sleep(0)
    with pytest.raises(Exception, match="key"):
        await flow.options(connection=adb, key="").start(1)


async def test_what_follows_an_empty_map_runs(database_url: str, adb: asyncpg.Connection) -> None:
    """https://github.com/celery/celery/issues/4333: a chord without a header never called back."""
    flow = Flow("sums", input=list[int])

    @flow.map
    async def same(n: int = each(flow.input)) -> int:
        return n

    @flow.step
    async def total(numbers: list[int] = same.out) -> int:
        return sum(numbers) + 3

    async with running(database_url, flow.handler()):
        run = await flow.options(connection=adb).start([])
        assert await run.result(timeout=GIVE_UP_S) == {"total": 3}


async def test_what_follows_a_map_waits_for_items_that_are_tried_again(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """https://github.com/celery/celery/issues/2324: the callback ran while tasks were to be retried."""
    flow = Flow("retried", input=list[int], retry=Retry.fixed(0, max_attempts=3))
    tried: list[int] = []

    @flow.map
    async def third_time(n: int = each(flow.input)) -> int:
        tried.append(n)
        if tried.count(n) < 3:
            raise ValueError(n)
        return n

    @flow.step
    async def total(numbers: list[int] = third_time.out) -> list[int]:
        tried.append(-1)
        return numbers

    async with running(database_url, flow.handler()):
        run = await flow.options(connection=adb).start([1, 2, 3])
        assert await run.result(timeout=GIVE_UP_S) == {"total": [1, 2, 3]}
    assert (tried[-1], tried.count(-1), len(tried)) == (-1, 1, 10)


async def test_maps_with_steps_between_them_end(database_url: str, adb: asyncpg.Connection) -> None:
    """https://github.com/celery/celery/issues/5354: group, task, task, group hung."""
    flow = Flow("canvas", input=list[int])

    @flow.map
    async def first(n: int = each(flow.input)) -> int:
        return n + 1

    @flow.step
    async def one(ns: list[int] = first.out) -> int:
        return sum(ns)

    @flow.step
    async def two(n: int = one.out) -> list[int]:
        return [n, n]

    @flow.map
    async def last(n: int = two.each) -> int:
        return n + 1

    @flow.map
    async def very_last(n: int = last.each) -> int:
        return -n

    async with running(database_url, flow.handler()):
        run = await flow.options(connection=adb).start([1, 2])
        assert await run.result(timeout=GIVE_UP_S) == {"very_last": [-6, -6]}


async def test_a_cancelled_run_that_could_be_undone_ends(database_url: str, adb: asyncpg.Connection) -> None:
    """https://github.com/hatchet-dev/hatchet/issues/4493: it ran for ever, as its failure hook was due."""
    flow = Flow("undoable", input=int)
    done: list[str] = []

    async def refund(receipt: int) -> None:
        done.append(f"undone {receipt}")

    @flow.step(compensate=refund)
    async def charge(n: int = flow.input) -> int:
        return n

    flow.sleep(3600, after=[charge])
    async with running(database_url, flow.handler()) as worker:
        run = await flow.options(connection=adb).start(1)
        await worker.until(Event.MESSAGE_COMPLETED)
        await run.cancel()
        await worker.true_in_database("exists (select from postmill.run_list where state = 'cancelled')")
    assert done == []


@pytest.mark.parametrize("nothing", ["", 0, False, None, [], {}])
async def test_a_step_that_gives_next_to_nothing_has_ended(
    nothing: Any, database_url: str, adb: asyncpg.Connection
) -> None:
    """https://github.com/hatchet-dev/hatchet/pull/1334: one with an empty output ran for ever."""
    flow = Flow("nothing", input=int)

    @flow.step
    async def give(n: int = flow.input) -> Any:
        return nothing

    @flow.step
    async def hand_on(value: Any = give.out) -> Any:
        return value

    async with running(database_url, flow.handler()):
        run = await flow.options(connection=adb).start(1)
        assert await run.result(timeout=GIVE_UP_S) == {"hand_on": nothing}


async def test_nothing_begins_after_a_cancel(database_url: str, adb: asyncpg.Connection) -> None:
    """https://github.com/PrefectHQ/prefect/issues/17482: new tasks started after the run was cancelled."""
    flow = Flow("stopped", input=int)
    begun, goes_on, after = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @flow.step
    async def first(n: int = flow.input) -> int:
        begun.set()
        await goes_on.wait()
        return n

    @flow.step
    async def second(n: int = first.out) -> None:
        after.set()

    async with running(database_url, flow.handler()) as worker:
        run = await flow.options(connection=adb).start(1)
        await begun.wait()
        await run.cancel()
        goes_on.set()
        await worker.true_in_database("not exists (select from pgmq.q_stopped)")
        await worker.let_go()
    assert not after.is_set()
    assert await adb.fetchval("select state from postmill.run_list") == "cancelled"


async def test_the_first_of_several_steps_goes_on_and_a_cut_sleep_holds_nothing_up(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """https://github.com/temporalio/sdk-python/issues/699 and /1351: the wait lasted until all had ended; a
    timer whose task was cancelled went on.
    """

    async def quick() -> str:
        return "quick"

    @workflow
    async def race(ctx: Ctx) -> str:
        step, nap = (asyncio.ensure_future(each) for each in (ctx.step(quick), ctx.sleep(timedelta(hours=1))))
        done, _ = await asyncio.wait({step, nap}, return_when=asyncio.FIRST_COMPLETED)
        nap.cancel()
        await ctx.sleep(0.1)
        return str(done.pop().result())

    async with running(database_url, race.handler()):
        run = await race.options(connection=adb).start()
        assert await run.result(timeout=GIVE_UP_S) == "quick"


@pytest.mark.parametrize("are_named", [False, True])
async def test_branches_that_overtake_each_other_never_get_each_others_results(
    are_named: bool, database_url: str, adb: asyncpg.Connection
) -> None:
    """https://github.com/temporalio/sdk-python/issues/429: on replay the results were another branch's. Here
    each branch counts its steps for itself, and names of their own are right too.
    """
    turns = [asyncio.Event() for _ in range(4)]
    turns[3].set()

    async def look(n: int) -> int:
        await turns[n].wait()
        turns[n - 1].set()
        return n

    async def double(n: int) -> int:
        return 2 * n

    @workflow
    async def branches(ctx: Ctx) -> list[int]:
        async def branch(n: int) -> int:
            seen = await ctx.step(look, n)
            return await (ctx.named(f"double {n}").step if are_named else ctx.step)(double, seen)

        found: list[int] = await asyncio.gather(*(branch(n) for n in range(4)))
        await ctx.sleep(0.1)
        return found

    async with running(database_url, branches.handler()):
        run = await branches.options(connection=adb).start()
        assert await run.result(timeout=GIVE_UP_S) == [0, 2, 4, 6]
