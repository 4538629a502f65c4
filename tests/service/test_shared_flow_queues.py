"""Flows whose tasks come to one queue: one worker of a process runs them all, each by its own rules."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Ctx, worker, workflow
from postmill.flows.flow import Flow
from postmill.flows.running.handlers import handlers_of, together
from postmill.model.errors import InvalidFlow, InvalidHandler, RunFailed
from postmill.model.events import Event
from postmill.model.queue.outcome import Retry
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    import asyncpg


def telling(name: str, **options: Any) -> Flow[int]:
    """A flow with a step that others have too."""
    flow = Flow(name, input=int, queue="shared", **options)

    @flow.step
    async def tell(n: int = flow.input) -> str:
        return f"{name} {n}"

    return flow


async def test_each_flow_of_a_queue_is_run_by_its_own_rules(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """Two workers claimed each other's tasks, and held them; one handler gave both the policy of one."""
    hasty = Flow("hasty", input=int, queue="shared", retry=Retry.fixed(0, max_attempts=3), timeout=0.05)
    calm = Flow("calm", input=int, queue="shared", retry=Retry.fixed(0, max_attempts=1))
    tried: list[object] = []
    hasty_is_over = asyncio.Event()

    @hasty.step(name="tell")
    async def hang(n: int = hasty.input) -> None:
        tried.append(n)
        await asyncio.Event().wait()

    @calm.step(name="tell")
    async def outlast(n: int = calm.input) -> int:
        await hasty_is_over.wait()
        return n

    @calm.step
    async def fail(n: int = outlast.out) -> str:
        tried.append("fail")
        raise ValueError(n)

    async with running(database_url, *handlers_of([hasty, calm])) as workers:
        assert workers.worker.handler.name == "hasty, calm"
        slow = await calm.options(connection=adb).start(7)
        quick = await hasty.options(connection=adb).start(1)
        with pytest.raises(RunFailed, match="3 of 3 attempts: TimeoutError"):
            await quick.result(timeout=GIVE_UP_S)
        assert tried == [1, 1, 1]
        hasty_is_over.set()
        with pytest.raises(RunFailed, match="Step 'fail': failed 1 of 1"):
            await slow.result(timeout=GIVE_UP_S)
        assert tried == [1, 1, 1, "fail"]
        assert await slow.output(outlast) == 7
        assert workers.events(Event.STEP_HELD) == []


async def test_a_flow_that_no_worker_of_a_shared_queue_has_waits_for_one(
    database_url: str, adb: asyncpg.Connection
) -> None:
    first, second, other = telling("first"), telling("second"), telling("other")
    run = await other.options(connection=adb).start(1)
    async with running(database_url, *handlers_of([first, second])) as workers:
        await workers.until(Event.STEP_HELD)
        for flow in (first, second):
            mine = await flow.options(connection=adb).start(2)
            assert await mine.result(timeout=GIVE_UP_S) == {"tell": f"{flow.name} 2"}
    why = await adb.fetchval("select blocked from postmill.run_list where run_id = $1", run.run_id)
    assert why == "no worker for version 1 (step tell)"
    async with running(database_url, *handlers_of([second, other])):
        assert await run.result(timeout=GIVE_UP_S) == {"tell": "other 1"}


async def test_a_step_on_the_queue_of_another_flow_is_run_by_its_worker(
    database_url: str, adb: asyncpg.Connection
) -> None:
    host, guest = Flow("host", input=int, max_concurrent=3), Flow("guest", input=int)

    @host.step
    async def tell(n: int = host.input) -> int:
        return n

    @guest.step(name="tell", queue="host")
    async def tell_too(n: int = guest.input) -> int:
        return -n

    async with running(database_url, *handlers_of([guest, host])) as workers:
        served = {each.handler.options.queue: each.handler for each in workers.engine.workers}
        assert {queue: handler.name for queue, handler in served.items()} == {
            "guest": "guest",
            "host": "host, guest",
        }
        assert served["host"].options.max_concurrent == 3
        ours, theirs = [await flow.options(connection=adb).start(5) for flow in (host, guest)]
        assert await ours.result(timeout=GIVE_UP_S) == {"tell": 5}
        assert await theirs.result(timeout=GIVE_UP_S) == {"tell": -5}
        assert workers.events(Event.STEP_HELD) == []


def test_two_flows_of_one_name_share_no_worker() -> None:
    flow = telling("twin")
    assert len(handlers_of([flow, flow])) == 1
    with pytest.raises(InvalidFlow, match="Two have the same name"):
        handlers_of([flow, telling("twin")])


def test_a_worker_shares_its_queue_with_nothing_else_of_the_program() -> None:
    """A worker buried the tasks of a flow whose queue has its name, as payloads that did not fit."""
    flow = telling("thumbnails")

    @worker(queue="shared")
    async def shrink(name: str) -> None:
        """Never called."""

    @worker(queue="shared")
    async def enlarge(name: str) -> None:
        """Never called."""

    for other in (flow.handler(), enlarge):
        with pytest.raises(InvalidHandler, match="both take the messages of queue shared"):
            together([shrink, other])
    assert [each.name for each in together([shrink, shrink])] == ["shrink", "shrink"]


@pytest.mark.parametrize("batch", [None, 10], ids=["one", "batch"])
async def test_a_worker_of_another_program_leaves_the_tasks_of_a_flow(
    batch: int | None, database_url: str, adb: asyncpg.Connection
) -> None:
    """It took them for its own, or buried them as what its handler could not read: the runs failed."""
    tell = telling("told")
    seen: list[Any] = []

    @workflow(queue="shared")
    async def asks(ctx: Ctx, n: int) -> int:
        return n

    async def anything(payload: Any) -> None:
        seen.append(payload)

    plain = worker(queue="shared", batch=batch)(anything)
    mine = [1, {"run": 1}, {"run": 1, "step": "tell"}, {"run": 1, "flow": "told", "step": "tell", "with": 1}]
    runs = [await flow.options(connection=adb).start(3) for flow in (tell, asks)]
    async with running(database_url, *together([plain])) as workers:
        for payload in mine:
            await workers.send(json.dumps(payload), "shared")
        await workers.until(Event.STEP_HELD, count=2)
        await workers.until(Event.MESSAGE_COMPLETED, count=4)
    blocked = await adb.fetch("select blocked from postmill.run_list order by run_id")
    assert [row["blocked"] for row in blocked] == [
        "no worker for version 1 (step tell)",
        "no worker for version 1",
    ]
    async with running(database_url, *handlers_of([tell, asks])):
        assert [await run.result(timeout=GIVE_UP_S) for run in runs] == [{"tell": "told 3"}, 3]
    payloads = [each for some in seen for each in some] if batch else seen
    assert sorted(map(json.dumps, payloads)) == sorted(map(json.dumps, mine))


async def test_a_worker_leaves_no_message_that_only_looks_like_a_task(
    database_url: str, adb: asyncpg.Connection
) -> None:
    seen: list[Any] = []

    @worker(queue="shared")
    async def anything(payload: dict[str, Any]) -> None:
        seen.append(payload)

    look_alikes: list[dict[str, Any]] = [{"run": 7, "flow": "told", "step": "tell"}, {"run": 7, "wake": 0}]
    async with running(database_url, *together([anything])) as workers:
        for payload in look_alikes:
            await workers.send(json.dumps(payload), "shared")
        await workers.until(Event.MESSAGE_COMPLETED, count=2)
        assert workers.events(Event.STEP_HELD) == []
    assert sorted(seen, key=str) == sorted(look_alikes, key=str)


async def test_flows_and_workflows_share_a_queue(database_url: str, adb: asyncpg.Connection) -> None:
    """A worker of either took messages of the other for none of a flow: they were dead, their runs stood."""
    tell = telling("told")

    @workflow(queue="shared")
    async def asks(ctx: Ctx, n: int) -> str:
        first = await ctx.run(tell, n)
        return str(first["tell"]).upper()

    asker = Flow("asker", input=int, queue="shared")
    asker.run(asks, asker.input, name="answer")
    async with running(database_url, *handlers_of([tell, asks, asker])) as workers:
        assert workers.worker.handler.name == "told, asker, asks"
        runs = [await asker.options(connection=adb).start(n) for n in range(9)]
        assert [await run.result(timeout=GIVE_UP_S) for run in runs] == [
            {"answer": f"TOLD {n}"} for n in range(9)
        ]
        for flow in ("told", "asks", "asker"):
            given = '{"n": 1}' if flow == "asks" else "1"
            await workers.send(f'{{"start": "{flow}", "input": {given}, "key": "by message"}}', "shared")
        await workers.true_in_database(
            "(select count(*) = 3 from postmill.run_list where key = 'by message' and state = 'completed')"
        )
        assert workers.events(Event.STEP_HELD, Event.MESSAGE_DEAD) == []


@pytest.mark.parametrize("first", ["flow", "workflow"])
async def test_a_program_with_the_one_leaves_the_other_to_another_program(
    first: str, database_url: str, adb: asyncpg.Connection
) -> None:
    tell = telling("told")

    @workflow(queue="shared")
    async def asks(ctx: Ctx, n: int) -> int:
        return n

    given: dict[str, list[Any]] = {"flow": [tell, asks], "workflow": [asks, tell]}
    mine, other = given[first]
    run = await other.options(connection=adb).start(3)
    async with running(database_url, *handlers_of([mine])) as workers:
        await workers.until(Event.STEP_HELD)
    blocked = await adb.fetchval("select blocked from postmill.run_list where run_id = $1", run.run_id)
    assert blocked == "no worker for version 1" + (" (step tell)" if other is tell else "")
    async with running(database_url, *handlers_of([other])):
        assert await run.result(timeout=GIVE_UP_S) == ({"tell": "told 3"} if other is tell else 3)


async def test_a_task_that_names_the_flow_of_another_run_is_not_run(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """Messages can be forged: the run itself says what it is of."""
    tell, other = telling("told"), telling("other")
    run = await other.options(connection=adb, delay=3600).start(1)
    async with running(database_url, tell.handler()) as workers:
        await workers.send(f'{{"run": {run.run_id}, "flow": "told", "step": "tell"}}', "shared")
        await workers.until(Event.STEP_HELD)
    assert await adb.fetchval("select state from postmill.steps where run_id = $1", run.run_id) == "started"
