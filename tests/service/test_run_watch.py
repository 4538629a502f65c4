"""A step on a cluster is ended with its run. What runs here stands for the task there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from postmill import Ctx, workflow
from postmill.db.hot.shared_connection import SharedConnection
from postmill.flows.running import run_watch
from postmill.flows.running.run_watch import RunEnded, RunWatch
from postmill.model.config.address import Address
from postmill.service.events import Events
from tests.service.running import GIVE_UP_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@workflow
async def idle(ctx: Ctx) -> None:
    """No worker has it."""


class Reads:
    """The services that a watch uses."""

    def __init__(self, url: str) -> None:
        self.reads = SharedConnection(Address(url=url), "reads")
        self.events = Events()


@pytest.fixture
async def services(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setattr(run_watch, "LOOK_S", 0.02)
    made = Reads(database_url)
    yield made
    await made.reads.close()


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    made = await asyncpg.connect(database_url)
    yield made
    await made.close()


async def task(ends: list[str], how: str) -> str:
    """Runs until it is cancelled, and notes that."""
    try:
        await asyncio.Event().wait()
    finally:
        ends.append(how)
    return how


async def test_the_steps_of_a_run_that_ends_are_ended_and_no_others(
    connection: asyncpg.Connection[Any], services: Any
) -> None:
    first, other = [await idle.options(connection=connection).start() for _ in range(2)]
    ends: list[str] = []
    watch = RunWatch()
    async with asyncio.timeout(GIVE_UP_S):
        steps = [
            asyncio.ensure_future(watch.follow(run.run_id, task(ends, name), services))
            for name, run in (("a", first), ("b", first), ("other", other))
        ]
        await first.cancel()
        for step in steps[:2]:
            with pytest.raises(RunEnded, match="is cancelled"):
                await step
        assert (sorted(ends), steps[2].done()) == (["a", "b"], False)
        steps[2].cancel()
        with pytest.raises(asyncio.CancelledError):
            await steps[2]
    assert ends[2:] == ["other"]


async def test_what_a_step_gives_is_given_on_and_a_later_one_is_watched_too(
    connection: asyncpg.Connection[Any], services: Any
) -> None:
    run = await idle.options(connection=connection).start()
    watch = RunWatch()
    async with asyncio.timeout(GIVE_UP_S):
        assert await watch.follow(run.run_id, asyncio.sleep(0, "given"), services) == "given"
        later = asyncio.ensure_future(watch.follow(run.run_id, task([], "later"), services))
        await run.cancel()
        with pytest.raises(RunEnded):
            await later
