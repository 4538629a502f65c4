"""A new release takes the place of the old one while messages come: no gap, and each is done once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import TYPE_CHECKING

from postmill import worker
from postmill.model.config.release import Release
from postmill.model.events import Event
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    from tests.service.running import Running

MESSAGES = 150


@worker(queue="tasks", max_concurrent=3)
async def handle(payload: float) -> None:
    await asyncio.sleep(payload)


async def send(run: Running, number: int = MESSAGES) -> None:
    await run.db.execute("select pgmq.send('tasks', '0.01') from generate_series(1, $1)", number)


async def over(run: Running) -> None:
    """Wait until the workers have learned that they are to drain, and stop them as their process does."""
    async with asyncio.timeout(GIVE_UP_S):
        await run.engine.wait_over()
    await run.engine.stop("deprecated")


def of(label: str, **options: str) -> Release:
    return Release(label=label, **options)  # type: ignore[arg-type]


async def done(run: Running, number: int) -> None:
    """Wait until all are, by whichever worker; each once, and none failed."""
    await run.true_in_database(f"(select count(*) from pgmq.a_tasks) = {number}")
    await run.let_go()
    assert await run.account() == {"queue": 0, "archive": number, "dead": 0, "claims": 0}
    assert await run.count("postmill.failures") == 0


async def test_the_old_one_works_until_the_new_one_does(database_url: str) -> None:
    async with running(database_url, handle, release=of("1")) as old:
        await send(old)
        async with running(database_url, handle, release=of("2", replaces="everywhere")) as new:
            (said,) = await new.until(Event.WORKERS_REPLACED)
            assert (said["workers"], said["versions"]) == (1, f"{version('postmill')}+1")
            await send(new)
            await over(old)
            await done(new, 2 * MESSAGES)
            started, asked = await new.db.fetchrow(
                "select max(started_at), max(deprecated_at) from postmill.workers"
            )
            assert started < asked, "the old one is asked when the new one is there"
            assert not new.worker.draining.is_set()


async def test_of_two_new_ones_that_start_at_once_the_last_one_stays(database_url: str) -> None:
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(running(database_url, handle, release=of("1")))
        await send(old)
        both = [
            await stack.enter_async_context(
                running(database_url, handle, release=of(label, replaces="everywhere"), begin=False)
            )
            for label in ("2", "3")
        ]
        async with asyncio.TaskGroup() as starting:
            for new in both:
                starting.create_task(new.engine.start())
        last = await old.db.fetchval("select version from postmill.workers order by started_at desc limit 1")
        staying = both[0] if last.endswith("+2") else both[1]
        leaving = both[1] if staying is both[0] else both[0]
        await send(old)
        await over(old)
        await over(leaving)
        await done(staying, 2 * MESSAGES)
        assert not staying.worker.draining.is_set()
        assert await old.db.fetchval(
            "select array_agg(version) from postmill.workers where deprecated_at is null"
        ) == [last]


async def test_a_second_one_of_the_same_release_leaves_the_first_alone(database_url: str) -> None:
    release = of("2", replaces="everywhere")
    async with (
        running(database_url, handle, release=release) as first,
        running(database_url, handle, release=release) as second,
    ):
        assert second.events(Event.WORKERS_REPLACED) == []
        assert await first.count("postmill.workers where deprecated_at is not null") == 0
