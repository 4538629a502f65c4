"""A message whose transaction began early and commits late has a low id: workers are past it by then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from postmill.model.events import Event
from tests.faults.account import Account
from tests.faults.handlers import handler
from tests.service.running import running

if TYPE_CHECKING:
    from tests.faults.scene import Scene

WITHIN_S = 2.0
"""The promise, from commit to completion; also when 10,000 ids are missing around the message."""


@pytest.mark.parametrize("poller", ["notify", "poll"])
@pytest.mark.parametrize("missing", [0, 10_000])
@pytest.mark.parametrize("busy", [False, True])
async def test_a_late_commit_is_delivered_soon(scene: Scene, poller: str, missing: int, busy: bool) -> None:
    late = await asyncpg.connect(scene.url)
    async with running(scene.url, handler(poller=poller, max_concurrent=5, max_poll_seconds=60)) as run:
        await scene.send(3)
        await run.until(Event.MESSAGE_COMPLETED, count=3)
        await _lose_ids(scene, missing)
        slow = late.transaction()
        await slow.start()
        low: int = await late.fetchval("select postmill.send('tasks', '{}')")
        scene.sent.append(low)
        await _lose_ids(scene, missing)
        await scene.send(3)
        await run.until(Event.MESSAGE_COMPLETED, count=6)
        enough = asyncio.Event()
        sending = asyncio.create_task(_keep_sending(scene, enough)) if busy else None
        await slow.commit()
        async with asyncio.timeout(WITHIN_S):
            await run.until_true(
                lambda: any(event["msg_id"] == low for event in run.events(Event.MESSAGE_COMPLETED))
            )
        if sending is not None:
            enough.set()
            await sending
        await scene.until("select not exists (select from pgmq.q_tasks)")
    await late.close()
    assert await scene.account() == Account(completed=len(scene.sent))
    assert await scene.runs() == [1] * len(scene.sent)


async def _lose_ids(scene: Scene, count: int) -> None:
    """As a transaction does that sends and is undone."""
    await scene.db.execute("select nextval('pgmq.q_tasks_msg_id_seq') from generate_series(1, $1)", count)


async def _keep_sending(scene: Scene, enough: asyncio.Event) -> None:
    while not enough.is_set():
        await scene.send(5)
