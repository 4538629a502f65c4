"""Every way in which the engine ends a message of a flow reaches the run: none is left to hang."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from postmill.flows.context import Ctx  # noqa: TC001 - it is looked at when the workflow is made
from postmill.flows.flow import Flow
from postmill.flows.running import keeper
from postmill.flows.running.keeper import keepers
from postmill.flows.steps import each
from postmill.flows.workflow import workflow
from postmill.model.errors import InvalidOption, RunCancelled, RunFailed
from postmill.model.events import Event
from postmill.model.queue.outcome import Retry
from postmill.model.queue.retry import Dead
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    import asyncpg

    from postmill.flows.run import Run
    from tests.service.running import Running


def one_step(name: str = "single", **options: Any) -> tuple[Flow[int], asyncio.Event, asyncio.Event]:
    """A flow of one step, which says that it runs and waits to be let go."""
    flow = Flow(name, input=int, **options)
    runs, go_on = asyncio.Event(), asyncio.Event()

    @flow.step
    async def waits(n: int = flow.input) -> int:
        runs.set()
        await go_on.wait()
        return n

    return flow, runs, go_on


async def started(flow: Flow[int], db: asyncpg.Connection, given: Any = 1, **options: Any) -> Run[Any]:
    return await flow.options(connection=db, **options).start(given)


async def registered(flow: Flow[Any], db: asyncpg.Connection) -> None:
    """The flow is known, and no worker runs it."""
    for said in flow.handler().declarations:
        await db.fetchrow(said.text, *said.arguments)


async def reason_of(run: Run[Any]) -> str:
    with pytest.raises(RunFailed) as caught:
        await run.result(timeout=GIVE_UP_S)
    return str(caught.value.reason)


async def nothing_is_left(worker: Running, queue: str = "single") -> None:
    await worker.true_in_database(f"not exists (select from pgmq.q_{queue})")
    await worker.let_go()
    assert await worker.account(queue) == {"queue": 0, "archive": 0, "dead": 0, "claims": 0}


async def test_deliveries_that_all_ended_without_an_outcome(
    database_url: str, adb: asyncpg.Connection
) -> None:
    flow, _, _ = one_step(max_deliveries=2)
    await registered(flow, adb)
    run = await started(flow, adb)
    await adb.execute(
        "insert into postmill.failures (queue_name, msg_id, attempt, kind, error_message)"
        " select 'single', msg_id, n, 'lost_lease', 'it was killed'"
        " from pgmq.q_single, generate_series(1, 2) n"
    )
    await adb.execute("update pgmq.q_single set read_ct = 2")
    async with running(database_url, flow.handler()) as worker:
        assert "max_deliveries" in await reason_of(run)
        await nothing_is_left(worker)


async def test_attempts_that_were_used_up_before(database_url: str, adb: asyncpg.Connection) -> None:
    """The worker died after it had recorded the last attempt, and before the message was settled."""
    flow, _, _ = one_step(retry=Retry.fixed(0, max_attempts=2))
    await registered(flow, adb)
    run = await started(flow, adb)
    await adb.execute(
        "insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message)"
        " select 'single', msg_id, n, 'error', 'OSError', 'no route'"
        " from pgmq.q_single, generate_series(1, 2) n"
    )
    await adb.execute("update pgmq.q_single set read_ct = 2")
    async with running(database_url, flow.handler()) as worker:
        assert (await reason_of(run)).endswith("OSError: no route")
        await nothing_is_left(worker)


async def test_a_cancellation_of_the_message_itself(database_url: str, adb: asyncpg.Connection) -> None:
    """``postmill.cancel`` refuses the tasks of runs; another client may write the request itself."""
    flow, runs, _ = one_step()
    async with running(database_url, flow.handler()) as worker:
        run = await started(flow, adb)
        await runs.wait()
        await adb.execute("select postmill._ask_to_stop('single', msg_id, null) from pgmq.q_single")
        assert await reason_of(run) == "its message was cancelled"
        await nothing_is_left(worker)


async def test_a_run_that_is_cancelled_drops_its_tasks(database_url: str, adb: asyncpg.Connection) -> None:
    flow, runs, go_on = one_step(max_concurrent=1)
    async with running(database_url, flow.handler()) as worker:
        busy, waiting = await started(flow, adb), await started(flow, adb)
        await runs.wait()
        assert await waiting.cancel("not wanted")
        assert await busy.cancel()
        assert not await busy.cancel()
        go_on.set()
        with pytest.raises(RunCancelled, match="not wanted"):
            await waiting.result(timeout=GIVE_UP_S)
        (told,) = await worker.until(Event.STEP_DROPPED)
        assert "cancelled" in told["reason"]
        await nothing_is_left(worker)
        assert (await busy.state()).state == "cancelled"


async def test_a_message_that_another_client_has_deleted(database_url: str, adb: asyncpg.Connection) -> None:
    flow, _, _ = one_step()
    await registered(flow, adb)
    run = await started(flow, adb)
    await adb.execute("select pgmq.delete('single', msg_id) from pgmq.q_single")
    async with running(database_url, flow.handler(), services=keepers([flow.handler()])):
        assert await reason_of(run) == "message deleted elsewhere"


async def test_a_message_that_is_deleted_while_it_runs(database_url: str, adb: asyncpg.Connection) -> None:
    flow, runs, go_on = one_step()
    async with running(database_url, flow.handler()) as worker:
        run = await started(flow, adb)
        await runs.wait()
        await adb.execute("select pgmq.archive('single', msg_id) from pgmq.q_single")
        go_on.set()
        await worker.until(Event.LEASE_LOST)
    async with running(database_url, flow.handler(), services=keepers([flow.handler()])):
        assert await reason_of(run) == "message deleted elsewhere"


async def test_a_deadline_that_is_over(database_url: str, adb: asyncpg.Connection) -> None:
    flow, _, go_on = one_step()
    services = keepers([flow.handler()])
    await registered(flow, adb)
    run = await started(flow, adb, deadline=0.001)
    async with running(database_url, flow.handler(), services=services) as worker:
        assert await reason_of(run) == "its deadline was over"
        go_on.set()
        await nothing_is_left(worker)


async def test_a_queue_that_is_purged_or_dropped(database_url: str, adb: asyncpg.Connection) -> None:
    flow, _, _ = one_step()
    await registered(flow, adb)
    purged = await started(flow, adb)
    await adb.execute("select postmill.purge_queue('single')")
    dropped = await started(flow, adb)
    await adb.execute("select postmill.drop_queue('single', force => true)")
    for run in (purged, dropped):
        with pytest.raises(RunCancelled, match="single"):
            await run.result(timeout=0)


async def test_a_message_that_is_no_task_is_dead_as_any_other(
    database_url: str, adb: asyncpg.Connection
) -> None:
    flow, _, go_on = one_step()
    go_on.set()
    async with running(database_url, flow.handler()) as worker:
        await worker.send('{"step": "waits"}', "single")
        await worker.send("[1]", "single")
        await worker.until(Event.MESSAGE_DEAD, count=2)
        run = await started(flow, adb)
        assert await run.result(timeout=GIVE_UP_S) == {"waits": 1}
        letters = await adb.fetch("select reason from postmill.dead_letters where queue_name = 'single'")
        assert all("no task of a flow" in row["reason"] for row in letters)


@pytest.mark.parametrize(
    "forged",
    [
        '{"run": 999999, "step": "waits"}',
        '{"run": 1, "step": "nobody"}',
        '{"run": 1, "step": "waits", "item": 3}',
        '{"run": 1, "step": "waits", "child": 1}',
    ],
)
async def test_a_forged_task_changes_no_run(forged: str, database_url: str, adb: asyncpg.Connection) -> None:
    flow, _, go_on = one_step()
    go_on.set()
    async with running(database_url, flow.handler()) as worker:
        run = await started(flow, adb)
        assert run.run_id == 1
        assert await run.result(timeout=GIVE_UP_S) == {"waits": 1}
        await worker.send(forged, "single")
        await worker.until(Event.STEP_DROPPED)
        assert await run.output(flow.steps["waits"]) == 1
        await nothing_is_left(worker)


async def test_an_outcome_that_the_database_refuses_fails_the_step(
    database_url: str, adb: asyncpg.Connection
) -> None:
    flow, _, go_on = one_step(retry=Retry.none)
    go_on.set()
    await registered(flow, adb)
    await adb.execute(
        "create function refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'no output of 13 here'; end $$;"
        "create trigger refuse before update on postmill.steps for each row"
        " when (new.output = '13') execute function refuse()"
    )
    async with running(database_url, flow.handler()) as worker:
        bad, good = await started(flow, adb, 13), await started(flow, adb, 14)
        assert "no output of 13 here" in await reason_of(bad)
        assert await good.result(timeout=GIVE_UP_S) == {"waits": 14}
        await nothing_is_left(worker)


async def test_tasks_of_a_paused_run_are_held_and_sent_again(
    database_url: str, adb: asyncpg.Connection
) -> None:
    flow = Flow("single", input=list[int], max_concurrent=1)
    runs, go_on, done = asyncio.Event(), asyncio.Event(), []

    @flow.map
    async def work(n: int = each(flow.input)) -> int:
        runs.set()
        await go_on.wait()
        done.append(n)
        return n

    async with running(database_url, flow.handler()) as worker:
        run = await flow.options(connection=adb).start([1, 2, 3])
        await runs.wait()
        await run.pause()
        go_on.set()
        await worker.until(Event.STEP_HELD, count=2)
        await worker.true_in_database("count(*) = 2 from postmill.held_tasks")
        await worker.true_in_database("cause = 'run_paused' from postmill.why('single', 3)")
        await worker.let_go()
        assert done == [1]
        assert (await run.state()).state == "paused"
        await run.resume()
        assert await run.result(timeout=GIVE_UP_S) == {"work": [1, 2, 3]}
        await nothing_is_left(worker)


async def test_a_step_that_is_under_way_begins_anew_when_its_run_is_retried(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """The end of the old attempt failed the run a second time."""
    flow = Flow("single", input=int)
    begun = [asyncio.Event(), asyncio.Event()]
    go_on = [asyncio.Event(), asyncio.Event()]
    attempts = iter(range(2))
    broken = [True]

    @flow.step
    async def breaks(n: int = flow.input) -> int:
        await begun[0].wait()
        if broken:
            raise Dead("it is broken")
        return n

    @flow.step
    async def slow(n: int = flow.input) -> int:
        attempt = next(attempts)
        begun[attempt].set()
        await go_on[attempt].wait()
        if attempt == 0:
            raise Dead("it was cut")
        return n

    async with running(database_url, flow.handler()) as worker:
        run = await started(flow, adb)
        assert await reason_of(run) == "it is broken"
        broken.clear()
        assert await adb.fetchval("select postmill.retry_run($1)", run.run_id)
        await begun[1].wait()
        go_on[0].set()
        await worker.until(Event.LEASE_LOST)
        go_on[1].set()
        assert await run.result(timeout=GIVE_UP_S) == {"breaks": 1, "slow": 1}
        await nothing_is_left(worker)


def version(steps: str) -> Flow[int]:
    """``upgraded`` as its program has it: ``old`` has the steps first and second, ``new`` has others too."""
    flow = Flow("upgraded", input=int)

    @flow.step
    async def first(n: int = flow.input) -> str:
        return f"{n} first by {steps}"

    if steps == "new":

        @flow.step
        async def between(before: str = first.out) -> str:
            return f"{before}, between by {steps}"

        @flow.step
        async def third(before: str = between.out) -> str:
            return f"{before}, third by {steps}"

    else:

        @flow.step
        async def second(before: str = first.out) -> str:
            return f"{before}, second by {steps}"

    return flow


async def test_a_run_goes_on_in_its_own_version_after_an_upgrade(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """What the new program lacks is held, until a program that has it comes; what it has it serves."""
    old, new = version("old"), version("new")
    await registered(old, adb)
    run = await old.options(connection=adb).start(1)
    async with running(database_url, new.handler(), services=keepers([new.handler()])) as worker:
        (told,) = await worker.until(Event.STEP_HELD)
        assert told["reason"] == "version"
        await worker.let_go()
        newer = await new.options(connection=adb).start(2)
        assert await newer.result(timeout=GIVE_UP_S) == {
            "third": "2 first by new, between by new, third by new"
        }
        assert await worker.count("postmill.failures") == 0
    async with running(database_url, old.handler()):
        assert await run.result(timeout=GIVE_UP_S) == {"second": "1 first by new, second by old"}


async def test_a_task_that_the_wrong_program_took_comes_back_by_itself(
    database_url: str, adb: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both programs run during a rollout: the one that has the step has registered it long before."""
    monkeypatch.setattr(keeper, "EVERY_S", 0.05)
    old = version("old")
    async with running(database_url, old.handler(), services=keepers([old.handler()])):
        async with adb.transaction():
            run = await old.options(connection=adb).start(1)
            await adb.execute(
                "with gone as (delete from pgmq.q_upgraded returning message)"
                " insert into postmill.held_tasks (run_id, step, queue_name, message, why)"
                " select (message ->> 'run')::bigint, message ->> 'step', 'upgraded', message, 'version'"
                " from gone"
            )
        assert await run.result(timeout=GIVE_UP_S) == {"second": "1 first by old, second by old"}


async def test_a_limited_queue_gives_the_place_of_an_ended_step_back(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """The place stayed taken until a sweep, seconds later: each step of a limited flow took as long."""
    flow = Flow("limited", input=int)

    @flow.step
    async def first(n: int = flow.input) -> int:
        return n

    @flow.step
    async def second(n: int = first.out) -> int:
        return n

    await registered(flow, adb)
    await adb.execute("select postmill.limit_queue('limited', max_running => 1)")
    async with running(database_url, flow.handler()) as worker:
        run = await flow.options(connection=adb).start(1)
        assert await run.result(timeout=GIVE_UP_S) == {"second": 1}
        await worker.let_go()
        assert await worker.count("postmill.gates") == 0


async def test_a_run_is_removed_a_month_after_its_end(database_url: str, adb: asyncpg.Connection) -> None:
    """The run and its key go together: the key can be used again."""
    flow, _, go_on = one_step()
    go_on.set()
    async with running(database_url, flow.handler()):
        old, new = await started(flow, adb, key="old"), await started(flow, adb, key="new")
        assert await old.result(timeout=GIVE_UP_S) == await new.result(timeout=GIVE_UP_S)
    await adb.execute("update postmill.runs set ended_at = now() - interval '31 days' where key = 'old'")
    async with running(database_url, flow.handler(), services=keepers([flow.handler()])) as worker:
        await worker.true_in_database("not exists (select from postmill.runs where key = 'old')")
        assert await worker.count("postmill.runs") == 1
        assert (await started(flow, adb, key="old")).run_id > new.run_id


async def test_a_keeper_that_may_not_look_says_so_once_and_keeps_no_worker_from_working(
    database_url: str, adb: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper.Keeper, "_floor_s", 0.01)
    flow, _, go_on = one_step()
    go_on.set()
    await adb.execute("alter function postmill.sweep_flows rename to sweep_no_flows")
    async with running(database_url, flow.handler(), services=keepers([flow.handler()])) as worker:
        await worker.until(Event.FLOW_FAILED)
        run = await started(flow, adb)
        assert await run.result(timeout=GIVE_UP_S) == {"waits": 1}
        assert len(worker.events(Event.FLOW_FAILED)) == 1
        assert worker.engine.not_ready is None


async def test_an_output_is_as_large_as_its_flow_allows(database_url: str, adb: asyncpg.Connection) -> None:
    flow = Flow("texts", input=int, max_output=20, retention=60)

    @flow.step
    async def text(n: int = flow.input) -> str:
        return "x" * n

    @workflow(name="more_texts", max_output=20)
    async def more_texts(ctx: Ctx, n: int, by_step: bool) -> str:
        return await ctx.step(str.ljust, "", n) if by_step else "x" * n

    async with running(database_url, flow.handler(), more_texts.handler()):
        assert await (await started(flow, adb, 18)).result(timeout=GIVE_UP_S) == {"text": "x" * 18}
        assert "is 21 bytes of JSON; at most 20" in await reason_of(await started(flow, adb, 19))
        for by_step in (False, True):
            run = await more_texts.options(connection=adb).start(19, by_step)
            assert "is 21 bytes of JSON; at most 20" in await reason_of(run)
    kept = "select extract(epoch from retention)::int from postmill.flow_versions order by flow"
    assert [row[0] for row in await adb.fetch(kept)] == [None, 60]


@pytest.mark.parametrize(
    "wrong", [{"max_output": 0}, {"retention": -1}, {"max_output": 2**40}, {"retenton": 1}]
)
def test_limits_that_can_not_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        Flow("texts", input=int, **wrong)
