"""The time limit of an attempt: cancelled on the loop, waited for in a thread, killed in a process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postmill import Context, Retry, worker
from postmill.model.events import Event
from tests.service.running import finished, running


async def test_a_coroutine_is_cancelled_at_its_limit(database_url: str) -> None:
    reasons = []

    @worker(timeout=0.05, retry=Retry.fixed(0, 2))
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            reasons.append(ctx.stopping.reason)

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert await finished(run, 1) == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}
        kinds = await run.db.fetch("select kind, error_message from postmill.failures")
    assert [tuple(row) for row in kinds] == [("timeout", "still running after 0.05 s")] * 2
    assert reasons == ["timeout", "timeout"]


async def test_a_limit_can_be_put_off(database_url: str) -> None:
    @worker(timeout=0.2, retry=Retry.none)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        for _ in range(10):
            ctx.extend(0.1)
            await asyncio.sleep(0.05)

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert (await finished(run, 1))["archive"] == 1


async def test_a_handler_that_catches_its_cancellation_and_returns_has_completed(database_url: str) -> None:
    @worker(timeout=0.05, max_concurrent=1)
    async def handle(payload: str) -> None:
        if payload == "swallow":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return

    async with running(database_url, handle) as run:
        await run.send('"swallow"')
        await run.send('"next"')
        assert await finished(run, 2) == {"queue": 0, "archive": 2, "dead": 0, "claims": 0}


@pytest.mark.parametrize("own", [True, False], ids=["its own error", "the cancellation"])
async def test_whatever_a_cancelled_handler_raises_the_attempt_ended_by_its_limit(
    database_url: str, own: bool
) -> None:
    @worker(timeout=0.05, retry=Retry.none)
    async def handle(payload: dict[str, Any]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if own:
                raise ValueError("while cleaning up") from None
            raise

    async with running(database_url, handle) as run:
        await run.send("{}")
        await finished(run, 1)
        assert await run.db.fetchval("select kind from postmill.failures") == ("error" if own else "timeout")


@pytest.mark.parametrize("raises", [True, False])
async def test_a_thread_keeps_its_slot_and_its_lease_until_it_ends(database_url: str, raises: bool) -> None:
    """What it did by then is done: it counts as completed, unless it raises."""
    release = asyncio.Event()
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    seen: list[str] = []

    @worker(timeout=0.05, max_concurrent=1, visibility_timeout=1, retry=Retry.none)
    def handle(payload: str, ctx: Context) -> None:
        seen.append(payload)
        if payload == "slow":
            assert ctx.stopping.wait_in_thread(20) == "timeout"
            loop.call_soon_threadsafe(told.set)
            ctx.wait_for(release.wait())
            seen.append("ended")
            if raises:
                raise ValueError

    async with running(database_url, handle) as run:
        msg_id = await run.send('"slow"')
        await run.send('"next"')
        async with asyncio.timeout(30):
            await told.wait()
        await run.renewals(msg_id, 4)
        assert seen == ["slow"]
        release.set()
        account = {"queue": 0, "archive": 1 if raises else 2, "dead": int(raises), "claims": 0}
        assert await finished(run, 2) == account
        assert run.ends(msg_id) == [Event.MESSAGE_DEAD if raises else Event.MESSAGE_COMPLETED]
    assert seen == ["slow", "ended", "next"]
