"""Workers prune by themselves what is older than its queue's retention."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from postmill import worker
from postmill.engine.maintain import pruner
from postmill.model.events import Event
from tests.service.running import finished, running

if TYPE_CHECKING:
    import asyncpg


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty times a second instead of twice a minute."""
    monkeypatch.setattr(pruner, "EVERY_S", 0.05)


async def shift_clock(adb: asyncpg.Connection, url: str, by: str) -> None:
    """For every session of the test's database from now on."""
    name = urlsplit(url).path.lstrip("/")
    await adb.execute(f"alter database {name} set postmill.clock_shift = '{by}'")


async def test_a_worker_prunes_what_has_become_old(database_url: str, adb: asyncpg.Connection) -> None:
    @worker(queue="tasks")
    async def handle(_: int) -> None: ...

    await adb.execute("select postmill.create_queue('tasks')")
    async with running(database_url, handle) as run:
        for number in range(3):
            await run.send(str(number))
        assert (await finished(run, 3))["archive"] == 3
    await shift_clock(adb, database_url, "8 days")
    await adb.execute("update postmill.prunings set due_at = 'infinity'")
    async with running(database_url, handle) as run:
        await adb.execute("update postmill.prunings set due_at = '-infinity'")
        (pruned,) = await run.until(Event.HISTORY_PRUNED)
        assert (await run.account())["archive"] == 0
    assert (pruned["of_queue"], pruned["archived"], pruned["workers"]) == ("tasks", 3, 1)


async def test_a_locked_archive_disturbs_no_worker(database_url: str, adb: asyncpg.Connection) -> None:
    @worker(queue="tasks", on_success="delete")
    async def handle(_: int) -> None: ...

    await adb.execute("select postmill.create_queue('tasks'); select postmill.prune()")
    await adb.execute("update postmill.prunings set due_at = '-infinity'")
    async with running(database_url, handle) as run:
        async with adb.transaction():
            await adb.execute("lock table pgmq.a_tasks")
            tried = "select due_at > '-infinity' from postmill.prunings"
            while not await run.db.fetchval(tried):  # noqa: ASYNC110 - another process's row
                await asyncio.sleep(0.01)
            await run.send("1")
            await run.until(Event.MESSAGE_COMPLETED)
        assert run.events(Event.DATABASE_LOST, Event.WORKER_FAILED) == []


async def test_a_role_that_may_not_prune_still_works(database_url: str, adb: asyncpg.Connection) -> None:
    @worker(queue="tasks")
    async def handle(_: int) -> None: ...

    async with running(database_url, handle) as run:
        await adb.execute("alter function postmill.prune(integer) rename to gone")
        (failed,) = await run.until(Event.WORKER_FAILED)
        assert failed["reason"] == "pruning failed"
        await run.send("1")
        assert (await finished(run, 1))["archive"] == 1
        assert run.events(Event.DATABASE_LOST) == []


async def test_a_pruning_that_takes_too_long_is_ended_and_disturbs_no_worker(
    database_url: str, adb: asyncpg.Connection
) -> None:
    # It shares the heartbeat's connection: were that cut, other workers would take this one for dead.
    @worker(queue="tasks")
    async def handle(_: int) -> None: ...

    await adb.execute(
        "drop function postmill.prune(integer); "
        "create function postmill.prune(integer) returns table (queue_name text, archived bigint, "
        "failures bigint, history bigint, workers bigint, more boolean) "
        "language sql as 'select null, 0, 0, 0, 0, false from pg_sleep(60)'"
    )
    async with running(database_url, handle) as run:
        (pruned,) = await run.until(Event.HISTORY_PRUNED)
        assert "took too long" in pruned["reason"]
        assert run.events(Event.DATABASE_LOST, Event.WORKER_FAILED, Event.CLAIMS_RESCUED) == []
