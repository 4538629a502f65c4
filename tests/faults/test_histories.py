"""Another history under running workers: a standby that was behind is promoted, an earlier backup is
restored. Ids
that the workers have passed are given out again, and none of them may stay.

The patrol, which would find them a little later, is off here: what is tried is that each worker notices by
itself.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest
import pytest_asyncio

from postmill.model.config.address import parse
from postmill.model.events import Event
from postmill.model.queue.patrol import Walk
from postmill.sql.catalog import queue_statement
from tests.faults.handlers import handler
from tests.faults.pooler import Pooler, pooler
from tests.faults.scene import Scene
from tests.servers import PrivateServer
from tests.service.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from postmill.embedded.binaries import Binaries
    from tests.service.running import Running

pytestmark = pytest.mark.slow

BEFORE, TAIL, AFTER = 20, 500, 300
"""Messages of both histories, of the one that is lost, of the one that goes on: fewer than were lost."""
STUCK_AFTER_S = 10.0
WAYS: dict[str, Callable[[PrivateServer], None]] = {
    "a standby is promoted": lambda server: server.fail_over(),
    "a standby answers, and is promoted later": lambda server: server.fail_over(standby_s=1.0),
    "a backup is restored": lambda server: server.restore(),
}


@pytest.fixture(autouse=True)
def no_patrol(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Walk, "next_step", lambda *_: None)


@pytest.fixture
def server(postgres_binaries: Binaries) -> Iterator[PrivateServer]:
    """One whose log is enough for a standby."""
    private = PrivateServer(postgres_binaries, {"wal_level": "replica"})
    try:
        private.start()
        private.migrate()
        yield private
    finally:
        private.close()


@pytest_asyncio.fixture
async def own(server: PrivateServer) -> AsyncIterator[Scene]:
    """A scene on a server of the test's own."""
    made = Scene(server.url, await asyncpg.connect(server.url))
    try:
        await made.prepare()
        yield made
    finally:
        await made.close()


async def _again(scene: Scene) -> None:
    """The test's own connection did not survive either."""
    scene.db.terminate()
    scene.db = await asyncpg.connect(scene.url)


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
@pytest.mark.parametrize("way", WAYS)
async def test_nothing_stays_behind(server: PrivateServer, own: Scene, way: str, pooled: bool) -> None:
    """Three workers that had got 500 ids further than the server that takes over, and left their hint
    there.
    """
    async with AsyncExitStack() as stack:
        url = stack.enter_context(pooler(server.url)).url if pooled else server.url
        workers = [
            await stack.enter_async_context(
                running(server.url, handler(max_poll_seconds=1), address=parse(url))
            )
            for _ in range(3)
        ]
        await own.send(BEFORE)
        await _empty(own)
        await asyncio.to_thread(server.save)
        await _again(own)
        await own.send(TAIL)
        await _empty(own)
        _clock_was_ahead(workers)
        await asyncio.to_thread(WAYS[way], server)
        await _again(own)
        await own.send(AFTER)
        await _empty(own, STUCK_AFTER_S)
        await _leave_hints(workers)
        hint = await own.db.fetchval("select cursor_hint from postmill.queues")
        assert hint <= await own.db.fetchval("select last_value from pgmq.q_tasks_msg_id_seq")
    async with running(own.url, handler()) as newcomer:
        await own.send()
        await newcomer.until(Event.MESSAGE_COMPLETED)


async def test_a_floor_of_the_lost_history_is_no_hint_of_the_new_one(
    server: PrivateServer, own: Scene
) -> None:
    """Written by a worker that has not noticed yet, it kept new workers from 300 of 300 messages."""
    async with running(own.url, handler()) as run:
        await own.send(TAIL)
        await run.until(Event.MESSAGE_COMPLETED, count=TAIL)
        history = run.worker.claimer.lanes.cursor.history
    server.restart()
    await _again(own)
    text = queue_statement("cursor_hint_write", run.worker.claimer.lanes.shape)
    await own.db.execute(text, "tasks", history, TAIL)
    assert await own.db.fetchval("select cursor_hint from postmill.queues") == 0
    now = await own.db.fetchrow(queue_statement("cursor_hint_read", run.worker.claimer.lanes.shape), "tasks")
    assert now is not None
    await own.db.execute(text, "tasks", now["history"], TAIL)
    assert await own.db.fetchval("select cursor_hint from postmill.queues") == TAIL


async def test_a_database_is_swapped_for_a_copy_behind_a_pooler(server: PrivateServer, own: Scene) -> None:
    """The server is the same, so are the OIDs of the tables; only the database is another one."""
    with ExitStack() as stack:
        way = stack.enter_context(pooler(server.url))
        admin = await asyncpg.connect(server.url.replace("/postmill?", "/template1?"))
        async with running(own.url, handler(max_poll_seconds=1), address=parse(way.url)) as run:
            await own.send(BEFORE)
            await _empty(own)
            await _tell(way, "pause postmill")
            await own.db.close()
            await admin.execute(_ALONE)
            await admin.execute("create database copy template postmill")
            await _tell(way, "resume postmill")
            await _again(own)
            await own.send(TAIL)
            await _empty(own)
            await _tell(way, "pause postmill")
            await own.db.close()
            await run.db.close()
            await admin.execute(_ALONE)
            await admin.execute("alter database postmill rename to earlier")
            await admin.execute("alter database copy rename to postmill")
            await _tell(way, "resume postmill")
            await _again(own)
            await own.send(AFTER)
            await _empty(own, STUCK_AFTER_S)
        await admin.close()


_ALONE = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = 'postmill'"


async def _tell(way: Pooler, command: str) -> None:
    """In a thread: a pause waits for transactions, and those of the worker need the event loop to end."""
    with suppress(psycopg.ProgrammingError):  # these commands answer without rows
        await asyncio.to_thread(way.ask, command)


async def _empty(scene: Scene, within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        await scene.until("select not exists (select from pgmq.q_tasks)")


def _clock_was_ahead(workers: list[Running]) -> None:
    """As if the lost server's clock had been an hour ahead of that of the one that takes over."""
    for run in workers:
        run.worker.claimer.lanes.cursor.due_after += timedelta(hours=1)


async def _leave_hints(workers: list[Running]) -> None:
    for run in workers:
        await run.worker.claimer.lanes.write_hint()


KEYED = ("workers", "idle_workers", "prunings")
"""Tables to which a worker adds rows of its own accord."""


async def test_a_restore_under_a_running_worker_loses_no_key(scene: Scene) -> None:
    """Rows are loaded before a table has its key, those of the running worker too. It had put itself there
    again meanwhile, so that the key was refused.
    """
    async with running(scene.url, handler()) as run:
        await run.idle()
        for table in KEYED:
            await scene.db.execute(
                f"create table saved_{table} as table postmill.{table}; truncate postmill.{table};"
                f"alter table postmill.{table} drop constraint {table}_pkey"
            )
        await scene.end_sessions()
        await scene.until(
            "select count(*) > 1 from pg_stat_activity where application_name like 'postmill %'"
        )
        await run.until_true(lambda: bool(run.events(Event.WORKER_FAILED)))
        await scene.db.execute("select postmill.prune()")
        for table in KEYED:
            await scene.db.execute(f"insert into postmill.{table} table saved_{table}")
        keys = {"idle_workers": "queue_name, worker_id", "workers": "worker_id", "prunings": "queue_name"}
        for table, key in keys.items():
            await scene.db.execute(f"alter table postmill.{table} add primary key ({key})")
        await scene.send()
        await run.until(Event.MESSAGE_COMPLETED)
        await run.idle()
        await scene.until("select count(*) = 1 from postmill.workers where stopped_at is null")
