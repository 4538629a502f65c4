"""Operations are carried out by processes that work or serve: at once, and at their rate."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from postmill import worker
from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.engine import Engine
from postmill.model.config.address import Address
from postmill.model.events import Event
from postmill.operations.executor import PAGE, Executor, executing
from postmill.service.events import Events
from postmill.service.outage import Outage
from tests.service.running import GIVE_UP_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

RESTS = """
select exists (select from pg_stat_activity
                where query like '%_may_operate%' and state = 'idle' and pid <> pg_backend_pid())
"""
START = "select postmill.start_operation('cancel', 'tasks', per_second => $1)"


class Said:
    """What was said, and a way to wait for it."""

    def __init__(self) -> None:
        self.events = Events(function="postmill", queue="*")
        self.found: list[tuple[Event, dict[str, Any]]] = []
        self._more = asyncio.Event()
        self.events.listeners.append(self.note)

    def note(self, event: Event, fields: dict[str, Any]) -> None:
        self.found.append((event, fields))
        self._more.set()

    async def until(self, event: Event) -> dict[str, Any]:
        async with asyncio.timeout(GIVE_UP_S):
            while True:
                for each, fields in self.found:
                    if each is event:
                        return fields
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def ready(adb: asyncpg.Connection, url: str, many: int) -> AsyncIterator[Said]:
    """An executor that has looked, found nothing and rests."""
    await adb.execute("select postmill.create_queue('tasks')")
    await adb.execute(
        "select postmill.send_batch('tasks', array(select '1'::jsonb from generate_series(1, $1::integer)))",
        many,
    )
    said = Said()
    async with executing(Address(url), said.events):
        async with asyncio.timeout(GIVE_UP_S):
            while not await adb.fetchval(RESTS):  # noqa: ASYNC110 - it says nothing when it rests
                await asyncio.sleep(0.01)
        yield said


async def test_what_is_asked_for_begins_at_once(adb: asyncpg.Connection, database_url: str) -> None:
    """It would rest for 30 s without the notification."""
    async with ready(adb, database_url, 1200) as said:
        operation = await adb.fetchval(START, None)
        ended = await said.until(Event.OPERATION_ENDED)
    assert (ended["operation"], ended["kind"], ended["of"], ended["done"]) == (
        operation,
        "cancel",
        "tasks",
        1200,
    )


async def test_a_rate_is_kept_to_the_end(adb: asyncpg.Connection, database_url: str) -> None:
    async with ready(adb, database_url, 30) as said:
        began = time.monotonic()
        await adb.execute(START, 20.0)
        await said.until(Event.OPERATION_ENDED)
    assert 0.9 <= time.monotonic() - began < 10


async def test_one_that_can_not_go_on_is_said_to(adb: asyncpg.Connection, database_url: str) -> None:
    async with ready(adb, database_url, 3) as said:
        async with adb.transaction():
            await adb.execute(START, None)
            await adb.execute("select pgmq.drop_queue('tasks')")
        failed = await said.until(Event.OPERATION_FAILED)
    assert "there is no queue 'tasks'" in failed["reason"]


async def test_a_role_that_may_not_says_so_once(adb: asyncpg.Connection, database_url: str) -> None:
    await adb.execute("alter function postmill._step_operation rename to _gone")
    said = Said()
    shared = SharedConnection(Address(database_url), "test")
    executor = Executor(shared, said.events, Outage(said.events, is_passing))
    for _ in range(2):
        await executor.run_once()
    await shared.close()
    assert [fields["reason"].startswith("no operation can") for _, fields in said.found] == [True]


async def test_a_page_that_takes_too_long_is_followed_by_a_smaller_one(
    adb: asyncpg.Connection, database_url: str
) -> None:
    """The same page again would take too long again, for ever."""
    await adb.execute("select postmill.create_queue('tasks')")
    await adb.execute(
        "select postmill.send_batch('tasks', array(select '1'::jsonb from generate_series(1, $1::integer)))",
        PAGE,
    )
    await adb.execute(
        """
        create function slow() returns trigger language plpgsql as $$
        begin perform pg_sleep(0.004); return old; end $$;
        create trigger slow before delete on pgmq.q_tasks for each row execute function slow();
        """
    )
    operation = await adb.fetchval(START, None)
    said = Said()
    shared = SharedConnection(Address(database_url), "test", timeout_s=1.0)
    executor = Executor(shared, said.events, Outage(said.events, is_passing))
    async with asyncio.timeout(GIVE_UP_S):
        while (
            await adb.fetchval("select done from postmill.operations where operation_id = $1", operation) == 0
        ):
            await executor.run_once()
    await shared.close()


@pytest.mark.parametrize("connections", [2, 4])
async def test_a_worker_process_carries_them_out_within_its_connections(
    adb: asyncpg.Connection, database_url: str, connections: int
) -> None:
    @worker(queue="others", max_pg_connections=connections)
    async def handle(payload: Any) -> None: ...

    await adb.execute("select postmill.create_queue('tasks')")
    await adb.execute("select postmill.send_batch('tasks', array_fill('1'::jsonb, array[700]))")
    said = Said()
    engine = Engine([handle], Address(database_url), [Executor])
    engine.events.listeners.append(said.note)
    await engine.start()
    try:
        await adb.execute(START, None)
        await said.until(Event.OPERATION_ENDED)
        used = await adb.fetchval(
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
    finally:
        await engine.stop()
    assert used <= connections
