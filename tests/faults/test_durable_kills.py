"""Workers of workflows lose their connection, or their life, round every statement about a run: each run ends
once, with what is recorded, and its transaction has been done once.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import pytest

from postmill.flows.running.workflow_handler import WorkflowHandler
from tests.faults.cutting import Cutter, When
from tests.faults.durable_flows import MISTAKES, QUEUE, RECORDED, START, TABLE, journey, leg
from tests.faults.durable_process import is_about_runs
from tests.faults.processes import ROOT
from tests.service.running import Running, running

STATEMENTS = 17
"""Statements about runs from the start of a journey to its end; a test counts them."""

COUNTS = 3
"""Journeys that are counted; the shortest counts. On a busy machine a lease is renewed on the way."""


async def ended(run: Running, run_id: int) -> None:
    """Until a journey has ended."""
    await run.true_in_database(f"(select ended_at is not null from postmill.runs where run_id = {run_id})")


async def started(run: Running) -> int:
    """A journey whose signal is there already."""
    run_id: int = await run.db.fetchval(START)
    await run.db.execute("select postmill.signal_run($1, 'go', '7')", run_id)
    return run_id


async def counted(run: Running, cutter: Cutter) -> int:
    """The statements of one journey."""
    before = cutter.seen.total()
    await ended(run, await started(run))
    return cutter.seen.total() - before


async def well_done(db: Any) -> None:
    """Nothing is wrong, and nothing is left."""
    assert await db.fetch(MISTAKES, RECORDED) == []
    assert await db.fetchval(f"select count(*) from pgmq.q_{QUEUE}") == 0
    assert await db.fetchval("select count(*) from postmill.dead_letters") == 0


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_connection_is_lost_round_every_statement(
    database_url: str, monkeypatch: pytest.MonkeyPatch, when: When
) -> None:
    cutter = Cutter(monkeypatch, lambda text: "about runs" if is_about_runs(text) else None)
    async with running(database_url, WorkflowHandler(journey, leg)) as run:
        await run.db.execute(TABLE)
        statements = min([await counted(run, cutter) for _ in range(COUNTS)])
        assert statements <= STATEMENTS
        cutter.when = when
        for number in range(1, statements + 1):
            turn = cutter.seen.total() + number
            cutter.is_its_turn = lambda _, turn=turn: cutter.seen.total() == turn  # type: ignore[misc]
            await ended(run, await started(run))
            assert cutter.cut.total() == number
        await run.let_go()
        await well_done(run.db)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_process_is_killed_round_every_statement(database_url: str, when: str) -> None:
    async with running(database_url, WorkflowHandler(journey, leg), begin=False) as run:
        await run.db.execute(TABLE)
        for name in ("journey", "leg"):
            await run.db.execute(
                "select postmill.register_flow($1, 'workflow', $2, '{\"steps\": []}')", name, QUEUE
            )
        for number in range(1, STATEMENTS + 1):
            await started(run)
            victim = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.faults.durable_process",
                database_url,
                when,
                str(number),
                cwd=ROOT,
            )
            assert await victim.wait() == -signal.SIGKILL
            await run.db.execute(
                f"update pgmq.q_{QUEUE} set vt = clock_timestamp() where vt > clock_timestamp()"
            )
        await run.engine.start()
        await run.true_in_database("not exists (select from postmill.runs where ended_at is null)")
        await run.let_go()
        await well_done(run.db)
