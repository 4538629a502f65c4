"""Five processes fire the same schedules, die and come back, and every tick fires exactly once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from postmill.model.schedule.recurrence import recurrence, zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import asyncpg

ROOT = Path(__file__).parents[2]
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
    create table clock (now timestamptz not null);
    insert into clock values ('2026-10-24 22:00+00');
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


async def all_fired(adb: asyncpg.Connection) -> None:
    async with asyncio.timeout(30):
        while await adb.fetchval(  # noqa: ASYNC110 - the processes say nothing
            "select exists (select from postmill.schedules"
            " where next_at is null or next_at <= postmill.now())"
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
            await adb.execute("update clock set now = now + interval '1 minute'")
            if minute % (minutes // kills) == 0:
                processes.kill_one(minute % 5)
            await all_fired(adb)
    end = START + timedelta(minutes=minutes)
    for name in SCHEDULES:
        runs = await adb.fetch(
            "select tick from postmill.schedule_history where name = $1 order by tick", name
        )
        sent = await adb.fetchval(
            "select count(*) from pgmq.q_ticks where message = to_jsonb($1::text)", name
        )
        assert [run["tick"] for run in runs] == expected(name, end), name
        assert sent == len(runs), name


async def test_without_the_lock_and_the_key_ticks_fire_twice(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """The control: the race is there, and it is these two that end it."""
    await prepared(adb)
    await adb.execute("alter table postmill.schedule_runs drop constraint schedule_runs_pkey")
    with firing(database_url, 5, "unlocked"):
        for _ in range(50):
            await adb.execute("update clock set now = now + interval '1 minute'")
            await all_fired(adb)
            if await adb.fetchval(
                "select count(*) > count(distinct (name, tick)) from postmill.schedule_history"
            ):
                return
    pytest.fail("no tick fired twice")
