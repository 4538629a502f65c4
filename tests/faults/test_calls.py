"""Processes that make calls are killed in the middle of them: no call is sent twice, and each one ends."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postmill.calls.call_claims import LOST_MS, MOST_A_HOST
from postmill.sql.catalog import statement
from tests.faults.pooler import pooler
from tests.faults.test_durable_races import waits_for_lock
from tests.servers import session
from tests.service.calling import making_calls, serving, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import asyncpg

    from tests.servers import PrivateServer
    from tests.service.calling import Target

ROOT = Path(__file__).parents[2]
CALLS = 2000
MANY = f"select net.http_get($1 || '/' || n) from generate_series(1, {CALLS}) n"

LOCK = "for update skip locked"


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with serving() as made:
        yield made


class Processes:
    """Processes that make calls."""

    def __init__(self, many: int, *arguments: str) -> None:
        self._call = [sys.executable, "-m", "tests.faults.calls_process", *arguments]
        self.running = [self._started() for _ in range(many)]

    def kill_one(self) -> None:
        """SIGKILL one of them, and start another in its place."""
        place = random.randrange(len(self.running))
        self.running[place].kill()
        self.running[place].wait()
        self.running[place] = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._call, cwd=ROOT)


@contextmanager
def processes(many: int, *arguments: str) -> Iterator[Processes]:
    made = Processes(many, *arguments)
    try:
        yield made
    finally:
        for each in made.running:
            each.kill()
            each.wait()


@pytest.mark.slow
async def test_no_call_is_sent_twice_by_processes_that_are_killed(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    with processes(3, database_url, target.url) as racing:
        for kills in range(1, 6):
            await adb.execute(MANY, f"{target.url}/{kills}")
            part = kills * CALLS - CALLS // 2
            await until(lambda part=part: enough(target, part))  # type: ignore[misc]
            racing.kill_one()
        await until(lambda: adb.fetchval("select count(*) = 0 from postmill.calls where started_at is null"))
    await adb.execute("update postmill.calls set lost_at = clock_timestamp() - interval '1 second'")
    await adb.execute("select postmill.tidy_calls(100000)")
    assert max(target.at.values()) == 1
    answers = await adb.fetchrow(
        "select count(*) as ended, count(*) filter (where outcome_unknown) as unknown"
        " from postmill.call_responses"
    )
    assert answers is not None
    assert answers["ended"] == 5 * CALLS
    assert 0 < answers["unknown"] < CALLS, "some were cut off, and most were answered"


async def enough(target: Target, calls: int) -> bool:
    return target.at.total() >= calls


@pytest.mark.parametrize(("lock", "taken"), [(LOCK, 0), ("", 1)], ids=["locked", "control"])
async def test_a_call_that_another_process_takes_is_left_to_it(
    adb: asyncpg.Connection, other: asyncpg.Connection, lock: str, taken: int
) -> None:
    """The control, without the lock, waits for the other one's, and takes the call as well."""
    text = statement("calls_claim")
    assert LOCK in text
    arguments: tuple[Any, ...] = (LOST_MS, 1, [], [], MOST_A_HOST, True)
    await adb.execute("select net.http_get('http://127.0.0.1:1/')")
    async with adb.transaction():
        assert len(await adb.fetch(text, *arguments)) == 1
        claiming = asyncio.create_task(other.fetch(text.replace(LOCK, lock), *arguments))
        await waits_for_lock(adb, other, claiming)
    assert len(await claiming) == taken


async def test_the_job_of_a_process_that_was_killed_is_taken_by_another(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """A crashed worker's job stayed claimed for ever."""
    target.answers["/functions/v1/resize"] = target.hang
    await adb.execute("select postmill.create_call_queue('jobs', function => 'resize', workers => 1)")
    await adb.execute("select postmill.send('jobs', '{}')")
    with processes(1, database_url, target.url):
        await target.arrived.wait()
    target.answers.clear()
    async with making_calls(database_url, target):
        await until(lambda: adb.fetchval("select count(*) = 1 from postmill.results"))
    assert target.at == {"/functions/v1/resize": 2}


async def test_calls_are_made_behind_a_pooler(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """No notification arrives there, and two statements in a row may reach two server sessions."""
    with pooler(database_url) as pooled:
        async with making_calls(pooled.url, target):
            await adb.execute("select postmill.create_call_queue('jobs', function => 'resize')")
            await adb.execute("select postmill.send('jobs', '{}')")
            await adb.execute("select net.http_get($1)", target.url + "/get")
            await until(lambda: adb.fetchval("select count(*) = 1 from postmill.call_responses"))
            await until(lambda: adb.fetchval("select count(*) = 1 from postmill.results"))
    assert target.at == {"/get": 1, "/functions/v1/resize": 1}


async def test_an_outage_of_the_database_loses_no_answer(server: PrivateServer, target: Target) -> None:
    """The answer arrives while the server is down: it is written when that is back."""
    target.answers["/slow"] = target.hang
    with session(server.url) as db:
        db.execute(b"select net.http_get($1, timeout_milliseconds => 60000)", [target.url + "/slow"])
    async with making_calls(server.url):
        await target.arrived.wait()
        server.stop("immediate")
        target.release.set()
        server.start()

        async def written() -> bool:
            with session(server.url) as db:
                return (
                    db.execute(b"select from postmill.call_responses where status_code = 200").rowcount == 1
                )

        await until(written)
    assert target.at == {"/slow": 1}
