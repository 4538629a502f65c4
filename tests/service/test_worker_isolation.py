"""One message does not feel the one before it: context variables, cancellations, time limits of its own."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from postmill import Context, Retry, worker
from postmill.model.events import Event
from tests.service.running import finished, running

who: ContextVar[str] = ContextVar("who", default="nobody")


@pytest.mark.parametrize("how", ["async", "thread"])
async def test_context_variables_do_not_reach_the_next_message(database_url: str, how: str) -> None:
    seen = []

    async def in_loop(number: int) -> None:
        seen.append(who.get())
        who.set(f"message {number}")
        await asyncio.sleep(0)

    def in_thread(number: int) -> None:
        seen.append(who.get())
        who.set(f"message {number}")

    handler = worker(max_concurrent=1)(in_loop if how == "async" else in_thread)
    async with running(database_url, handler) as run:
        for number in range(5):
            await run.send(str(number))
        assert (await finished(run, 5))["archive"] == 5
    assert seen == ["nobody"] * 5


async def test_a_handler_may_cancel_its_own_task_without_taking_the_next_message_along(
    database_url: str,
) -> None:
    @worker(max_concurrent=1, retry=Retry.none)
    async def handle(payload: dict[str, Any]) -> None:
        task = asyncio.current_task()
        assert task is not None
        if payload.get("cancel"):
            task.cancel()
        if payload.get("await"):
            await asyncio.sleep(0)

    async with running(database_url, handle) as run:
        await run.send('{"cancel": true, "await": true}')
        await run.send("{}")
        await run.send('{"cancel": true}')
        await run.send('{"await": true}')
        assert await finished(run, 4) == {"queue": 0, "archive": 3, "dead": 1, "claims": 0}
        assert await run.db.fetchval("select error_type from postmill.failures") == "CancelledError"


async def test_a_time_limit_inside_a_handler_is_its_own_affair(database_url: str) -> None:
    seen = []

    @worker(max_concurrent=1, retry=Retry.none)
    async def handle(payload: str) -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append(payload)
            if payload == "raise":
                raise

    async with running(database_url, handle) as run:
        await run.send('"catch"')
        await run.send('"raise"')
        await run.send('"catch"')
        assert await finished(run, 3) == {"queue": 0, "archive": 2, "dead": 1, "claims": 0}
        assert await run.db.fetchval("select kind from postmill.failures") == "error"
    assert seen == ["catch", "raise", "catch"]


async def test_tasks_that_a_handler_leaves_behind_disturb_nobody(database_url: str) -> None:
    left = []

    @worker(max_concurrent=1)
    async def handle(payload: int) -> None:
        left.append(asyncio.create_task(asyncio.Event().wait()))

    async with running(database_url, handle) as run:
        await run.send("1")
        await run.send("2")
        assert (await finished(run, 2))["archive"] == 2
    for task in left:
        task.cancel()


async def test_a_slow_handler_holds_up_nobody_else(database_url: str) -> None:
    release = asyncio.Event()

    @worker(max_concurrent=2)
    async def handle(number: int) -> None:
        if number == 0:
            await release.wait()

    async with running(database_url, handle) as run:
        for number in range(50):
            await run.send(str(number))
        await run.until(Event.MESSAGE_COMPLETED, count=49)
        release.set()
        assert (await finished(run, 50))["archive"] == 50


async def test_no_more_is_held_than_slots_and_a_bounded_prefetch(database_url: str) -> None:
    """Fast messages teach it a high rate; when handlers then block, the surplus goes back to the queue."""
    release = asyncio.Event()

    @worker(max_concurrent=2)
    async def handle(number: int) -> None:
        if number > 1000:
            await release.wait()

    async with running(database_url, handle) as run:
        await run.db.execute(
            "select pgmq.send_batch('tasks', array(select to_jsonb(n) from generate_series(1, 5000) as n))"
        )
        await run.until_true(
            lambda: bool(run.events(Event.MESSAGE_RELEASED)) and run.worker.held_messages.unsettled <= 4
        )
        assert run.worker.dispatcher.running == 2
        release.set()
        assert await finished(run, 5000) == {"queue": 0, "archive": 5000, "dead": 0, "claims": 0}


async def test_the_context_says_what_runs(database_url: str) -> None:
    seen: list[Any] = []

    @worker(timeout=60)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        seen.append((ctx.queue, ctx.attempt, ctx.message.msg_id, ctx.message.headers, ctx.message.payload))
        seen.append(ctx.worker_id)
        assert ctx.deadline is not None
        assert 0 < ctx.deadline <= 60
        ctx.extend(60)
        assert ctx.deadline > 60
        assert not ctx.stopping.is_set()
        ctx.log.info("at work")
        ctx.progress(0.5, "half")

    async with running(database_url, handle) as run:
        msg_id = await run.db.fetchval(
            "select * from pgmq.send('tasks', '{\"a\": 1}', '{\"trace\": 1}'::jsonb)"
        )
        await run.until(Event.MESSAGE_COMPLETED)
        assert seen == [("tasks", 1, msg_id, {"trace": 1}, {"a": 1}), run.worker.worker_id]
        assert run.events(Event.PROGRESS)[0]["percent"] == 50
