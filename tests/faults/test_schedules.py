"""Five processes fire the same schedules, die and come back, and every tick fires exactly once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from postmill.model.schedule.recurrence import recurrence, zone_of
from tests.faults.restoring import restored_copy
from tests.faults.scheduler_process import BARRIER
from tests.servers import PrivateServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded.binaries import Binaries

ROOT = Path(__file__).parents[2]
GIVE_UP_S = 60.0
START = datetime(2026, 10, 24, 22, tzinfo=UTC)
"""Two hours before the clocks of Europe go back."""
SCHEDULES = {
    "each minute": ("* * * * *", "UTC"),
    "each five": ("*/5 * * * *", "Europe/Berlin"),
    "at night": ("30 2 * * *", "Europe/Berlin"),
    "each hour": ("30 * * * *", "America/New_York"),
    "twice a minute": ("30 seconds", "UTC"),
}
CLOCK = """
    create table clock (now timestamptz not null, latest timestamptz not null);
    insert into clock values ('2026-10-24 22:00+00', '2026-10-24 22:00+00');
    create or replace function postmill.now() returns timestamptz
    language sql stable as 'select now from public.clock'
"""


class Processes:
    """Processes that fire schedules."""

    def __init__(self, url: str, many: int, *options: str) -> None:
        self._call = [sys.executable, "-m", "tests.faults.scheduler_process", url, *options]
        self.running = [self._started() for _ in range(many)]

    def kill_one(self, place: int) -> None:
        """SIGKILL one of them, and start another in its place."""
        self.running[place].kill()
        self.running[place].wait()
        self.running[place] = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._call, cwd=ROOT)


@contextmanager
def firing(url: str, many: int, *options: str) -> Iterator[Processes]:
    processes = Processes(url, many, *options)
    try:
        yield processes
    finally:
        for each in processes.running:
            os.kill(each.pid, signal.SIGKILL)
            each.wait()


async def prepared(adb: asyncpg.Connection) -> None:
    await adb.execute(CLOCK)
    await adb.execute("select postmill.create_queue('ticks')")
    for name, (schedule, zone) in SCHEDULES.items():
        await adb.execute(
            "select postmill.schedule($1, $2, 'ticks', to_jsonb($1::text), timezone => $3,"
            " overlap => 'allow', catch_up => 'all')",
            name,
            schedule,
            zone,
        )


async def move_clock(adb: asyncpg.Connection, minutes: int = 1) -> None:
    moved = "now = now + $1 * interval '1 minute', latest = greatest(latest, now + $1 * interval '1 minute')"
    await adb.execute(f"update clock set {moved}", minutes)


async def all_fired(adb: asyncpg.Connection, which: str = "") -> None:
    async with asyncio.timeout(GIVE_UP_S):
        while await adb.fetchval(  # noqa: ASYNC110 - the processes say nothing
            "select exists (select from postmill.schedules"
            f" where (next_at is null or next_at <= postmill.now()) {which})"
        ):
            await asyncio.sleep(0.002)


def expected(name: str, end: datetime) -> list[datetime]:
    schedule, zone = SCHEDULES[name]
    ticks, tick = [], START
    while (tick := recurrence(schedule).after(tick, zone_of(zone))) <= end:
        ticks.append(tick)
    return ticks


@pytest.mark.parametrize(("minutes", "kills"), [(50, 5), pytest.param(1_000, 40, marks=pytest.mark.slow)])
async def test_every_tick_fires_once_in_five_processes_that_are_killed(
    database_url: str, adb: asyncpg.Connection, minutes: int, kills: int
) -> None:
    await prepared(adb)
    with firing(database_url, 5) as processes:
        for minute in range(minutes):
            await move_clock(adb)
            if minute % (minutes // kills) == 0:
                processes.kill_one(minute % 5)
            await all_fired(adb)
    await check_each_tick_fired_once(adb)


async def check_each_tick_fired_once(adb: asyncpg.Connection) -> None:
    """Each tick up to the latest moment of the clock has one run and one message."""
    end = await adb.fetchval("select latest from clock")
    for name in SCHEDULES:
        runs = await adb.fetch(
            "select tick from postmill.schedule_history where name = $1 order by tick", name
        )
        sent = await adb.fetchval(
            "select count(*) from pgmq.q_ticks where message = to_jsonb($1::text)", name
        )
        assert [run["tick"] for run in runs] == expected(name, end), name
        assert sent == len(runs), name


JUMPS = (10, -5, 3, 40, -30, 20, 1, 200, -150, -100, 260)
"""Minutes by which the clock goes on; it goes back too."""


async def test_a_clock_that_jumps_fires_no_tick_twice_and_leaves_none_out(
    database_url: str, adb: asyncpg.Connection
) -> None:
    await prepared(adb)
    with firing(database_url, 5):
        for minutes in JUMPS:
            await move_clock(adb, minutes)
            await all_fired(adb)
    await check_each_tick_fired_once(adb)


async def test_a_schedule_that_someone_holds_fires_once_when_it_is_let_go(
    database_url: str, adb: asyncpg.Connection
) -> None:
    await prepared(adb)
    await adb.execute("update postmill.schedules set changed_at = postmill.now()")
    someone = await asyncpg.connect(database_url)
    with firing(database_url, 5):
        await move_clock(adb)
        await all_fired(adb)
        held = someone.transaction()
        await held.start()
        await someone.execute("select from postmill.schedules where name = 'each minute' for update")
        await move_clock(adb, 60)
        await all_fired(adb, "and name <> 'each minute'")
        late = "select count(*) from postmill.schedule_history where name = 'each minute'"
        assert await adb.fetchval(late) == 1
        await held.rollback()
        await all_fired(adb)
    await check_each_tick_fired_once(adb)
    await someone.close()


async def test_after_a_dump_and_a_restore_each_tick_fires_once(
    database_url: str, adb: asyncpg.Connection, postgres_binaries: Binaries
) -> None:
    await prepared(adb)
    with firing(database_url, 5):
        await move_clock(adb, 90)
        await all_fired(adb)
    with restored_copy(database_url, postgres_binaries) as copy:
        restored = await asyncpg.connect(copy)
        with firing(copy, 5):
            await move_clock(restored, 90)
            await all_fired(restored)
        await check_each_tick_fired_once(restored)
        await restored.close()


@pytest.fixture
def crashing(postgres_binaries: Binaries) -> Iterator[PrivateServer]:
    """A server that crashes, and that a standby may replace."""
    with closing(PrivateServer(postgres_binaries, {"wal_level": "replica"})) as private:
        private.start()
        private.migrate()
        yield private


@pytest.mark.slow
async def test_every_tick_fires_once_through_crashes_and_a_standby_that_takes_over(
    crashing: PrivateServer,
) -> None:
    """What the standby had not heard of is gone with its runs and messages, and fires again."""
    adb = await asyncpg.connect(crashing.url)
    await prepared(adb)
    happens = {
        20: lambda: crashing.restart("immediate"),
        40: crashing.save,
        70: crashing.fail_over,
        90: lambda: crashing.restart("kill"),
    }
    with firing(crashing.url, 5) as processes:
        for minute in range(120):
            await move_clock(adb)
            if minute % 10 == 3:
                processes.kill_one(minute % 5)
            if minute in happens:
                await asyncio.to_thread(happens[minute])
                adb = await asyncpg.connect(crashing.url)
            await all_fired(adb)
    assert await adb.fetchval("select latest from clock") < START + timedelta(minutes=100), "time was lost"
    await check_each_tick_fired_once(adb)
    await adb.close()


AT_THE_BARRIER = f"""
select count(*) from pg_locks join pg_database on database = pg_database.oid
 where datname = current_database() and locktype = 'advisory' and objid = {BARRIER} and not granted
"""
TWICE = "select count(*) > count(distinct (name, tick)) from postmill.schedule_history"


async def test_without_the_lock_and_the_key_ticks_fire_twice(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """The control: two processes have read what is due before either fires it."""
    await prepared(adb)
    await adb.execute("alter table postmill.schedule_runs drop constraint schedule_runs_pkey")
    with firing(database_url, 2, "unlocked"):
        await all_fired(adb)  # from now on each tick is known before it is due
        await adb.execute(f"select pg_advisory_lock({BARRIER})")
        await move_clock(adb)
        async with asyncio.timeout(GIVE_UP_S):
            while await adb.fetchval(AT_THE_BARRIER) < 2:  # noqa: ASYNC110 - the processes say nothing
                await asyncio.sleep(0.01)
            await adb.execute(f"select pg_advisory_unlock({BARRIER})")
            while not await adb.fetchval(TWICE):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
