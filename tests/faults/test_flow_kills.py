"""Processes that run flows are killed, and so is the server: each run comes to its end, the right one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from postmill.engine.engine import Engine
from postmill.flows.running.keeper import keepers
from postmill.model.config.address import Address
from tests.faults.flow_process import diamond, expected
from tests.servers import session
from tests.service.running import GIVE_UP_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import PrivateServer

ROOT = Path(__file__).parents[2]
RUNS = 300
LOST = """
select run_id from postmill.runs as run left join postmill.steps as step using (run_id)
 where run.state <> 'completed' or run.leaves_left <> 0
    or step.state not in ('completed', 'skipped') or coalesce(step.tasks_left, 0) <> 0
"""


def begin(url: str, many: int = RUNS) -> None:
    """Start runs, each of its own number."""
    with session(url) as db:
        for said in diamond.handler().declarations:
            db.execute(said.text, said.arguments)
        db.execute(
            "select postmill.start_flow('diamond', to_jsonb(n)) from generate_series(0, $1) n", [many - 1]
        )


def ended(url: str) -> int:
    """How many runs have ended; 0 while the server is down."""
    try:
        with session(url) as db:
            (row,) = db.execute("select count(*) as ended from postmill.runs where ended_at is not null")
            found: int = row["ended"]
            return found
    except psycopg.OperationalError:
        return 0


async def until_ended(url: str, many: int) -> None:
    """Wait until so many runs have ended."""
    async with asyncio.timeout(3 * GIVE_UP_S):
        while await asyncio.to_thread(ended, url) < many:  # noqa: ASYNC110 - a run says nothing of its end
            await asyncio.sleep(0.02)


def check_all(url: str, many: int = RUNS) -> None:
    """Every run has given what it should, and nothing of any is left."""
    with session(url) as db:
        assert db.execute(LOST).fetchall() == []
        rows = db.execute("select input, postmill.run_result(run_id) -> 'output' as given from postmill.runs")
        assert {row["input"]: row["given"] for row in rows} == {n: expected(n) for n in range(many)}
        assert db.execute("select from pgmq.q_diamond").fetchall() == []


class Processes:
    """Processes that run the flow."""

    def __init__(self, url: str, many: int) -> None:
        self._call = [sys.executable, "-m", "tests.faults.flow_process", url]
        self.running = [self._started() for _ in range(many)]

    def kill(self, place: int) -> None:
        """SIGKILL one of them, and start another in its place."""
        self.running[place].kill()
        self.running[place].wait()
        self.running[place] = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._call, cwd=ROOT)


@contextmanager
def processes(url: str, many: int) -> Iterator[Processes]:
    made = Processes(url, many)
    try:
        yield made
    finally:
        for each in made.running:
            each.kill()
            each.wait()


@pytest.mark.slow
async def test_runs_come_through_the_death_of_their_workers(database_url: str) -> None:
    begin(database_url)
    with processes(database_url, 2) as racing:
        for kills in range(1, 5):
            await until_ended(database_url, kills * RUNS // 6)
            racing.kill(kills % 2)
        await until_ended(database_url, RUNS)
    check_all(database_url)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_runs_come_through_restarts_of_the_server(mode: str, server: PrivateServer) -> None:
    """A settlement whose answer was lost is sent again: it changes nothing that it has changed before."""
    begin(server.url)
    handlers = [diamond.handler()]
    engine = Engine(handlers, Address(server.url), keepers(handlers))
    await engine.start()
    try:
        for restarts in range(1, 4):
            await until_ended(server.url, restarts * RUNS // 5)
            await asyncio.to_thread(server.restart, mode)
        await until_ended(server.url, RUNS)
    finally:
        await engine.stop()
    check_all(server.url)
