"""Processes that run SQL commands are killed in the middle: no run is done twice, and each has an end."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.service.commands import firing, until

if TYPE_CHECKING:
    from tests import servers

ROOT = Path(__file__).parents[2]
RUNS, KILLS = 60, 4
COMMAND = """
    insert into done select run_id from postmill.schedule_runs
    where status = 'running' and pid = pg_backend_pid();
    select pg_sleep(0.1)
"""
"""It commits as a whole: a run stands in the table if it was done."""
ENDED = "select count(*) >= $1 from postmill.schedule_runs where ended_at is not null"
WRONG = """
    select run.run_id, run.status, run.reason, count(done.run_id) as done
      from postmill.schedule_runs as run left join done using (run_id)
     group by run.run_id, run.status, run.reason
    having count(done.run_id) > 1
        or run.status not in ('succeeded', 'unknown')
        or run.status = 'succeeded' and count(done.run_id) <> 1
"""


def started(url: str, cleanup: ExitStack) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-m", "tests.faults.command_process", url], cwd=ROOT)
    cleanup.callback(child.wait)
    cleanup.callback(child.kill)
    return child


@pytest.mark.slow
async def test_no_run_is_done_twice_or_left_open_when_processes_are_killed(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """Runs of one schedule that may overlap, three processes, and SIGKILL for all of them while some run."""
    await adb.execute("create table done (run_id bigint)")
    await adb.execute("select postmill.schedule_sql('job', '@yearly', $1, overlap => 'allow')", COMMAND)
    for _ in range(RUNS):
        await adb.execute("select postmill.run_schedule('job')")
    with ExitStack() as cleanup:
        for kill in range(KILLS):
            processes = [started(database_url, cleanup) for _ in range(3)]
            await until(adb, ENDED, (kill + 1) * RUNS // (2 * KILLS))
            await until(adb, "select exists (select from postmill.schedule_runs where status = 'running')")
            for each in processes:
                each.kill()
        started(database_url, cleanup)
        await until(adb, ENDED, RUNS)
    assert await adb.fetch(WRONG) == []
    assert await adb.fetchval("select count(*) from postmill.schedule_runs where status = 'unknown'") > 0, (
        "a kill met a run"
    )


async def test_a_crash_of_the_server_leaves_a_run_that_says_so(server: servers.PrivateServer) -> None:
    """After the restart the run is not begun again."""
    adb = await asyncpg.connect(server.url)
    await adb.execute("select postmill.schedule_sql('job', '@yearly', 'select pg_sleep(600)')")
    await adb.execute("select postmill.run_schedule('job')")
    async with firing(server.url):
        await until(adb, "select exists (select from postmill.schedule_runs where status = 'running')")
        await adb.close()
        server.restart("immediate")
        adb = await asyncpg.connect(server.url)
        await until(adb, ENDED, 1)
        assert await adb.fetchval("select status from postmill.schedule_runs") in {"unknown", "failed"}
        assert await adb.fetchval("select count(*) from postmill.schedule_runs") == 1
        await adb.close()
