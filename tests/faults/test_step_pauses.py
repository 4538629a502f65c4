"""A worker dies in an attempt at a step or in the pause after one: the next worker goes on with the attempt
that is next. And what wakes a parked run races with signals and cancellations.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Retry
from postmill.flows import Ctx, Signal, step, workflow
from postmill.flows.running import execution
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement, scripts
from tests.faults.processes import ROOT
from tests.faults.protocol import Change
from tests.faults.retrying_process import ATTEMPTS, FLOW, retrying
from tests.faults.test_durable_races import waits_for_lock
from tests.service.running import running
from tests.service.test_durable import end_of

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.service.running import Running

REGISTER = f"select postmill.register_flow('{FLOW}', 'workflow', '{FLOW}', '{{\"steps\": []}}')"
START = f"select postmill.start_flow('{FLOW}', '{{}}')"


async def victim(url: str, file: Path, pause_s: float, killed_in: int) -> asyncio.subprocess.Process:
    """A worker that may kill itself."""
    arguments = (url, str(file), str(pause_s), str(killed_in))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.retrying_process", *arguments, cwd=ROOT
    )


async def due(run: Running) -> None:
    """Pauses are over."""
    await run.db.fetchrow(queue_statement("testing_make_due", QueueShape(FLOW, 0)), FLOW)


async def taken_back(run: Running) -> None:
    """The message of the worker that has died is due again, and pauses are over."""
    await due(run)
    await run.db.execute(f"update pgmq.q_{FLOW} set vt = clock_timestamp() where vt > clock_timestamp()")


async def recorded(run: Running, failed: int, state: str) -> None:
    """Until so many attempts have failed, and the run is in this state."""
    await run.true_in_database(
        f"(select s.attempts = {failed} and r.state = '{state}'"
        "   from postmill.steps as s join postmill.runs as r using (run_id))"
    )


@pytest.mark.parametrize(("pause_s", "state"), [(3600.0, "waiting"), (0.9, "running")])
async def test_a_worker_that_is_killed_in_a_pause_has_counted_its_attempts(
    database_url: str, tmp_path: Path, pause_s: float, state: str
) -> None:
    """Attempts were counted in the process: killed twice, three attempts were up to nine."""
    file = tmp_path / "tries"
    async with running(database_url, retrying(file, pause_s).handler(), begin=False) as run:
        await run.db.execute(REGISTER)
        run_id = await run.db.fetchval(START)
        for failed in (1, 2):
            process = await victim(database_url, file, pause_s, 0)
            await recorded(run, failed, state)
            process.send_signal(signal.SIGKILL)
            assert await process.wait() == -signal.SIGKILL
            await taken_back(run)
        await run.engine.start()
        assert (await end_of(run, run_id))[0] == "failed"
        assert len(file.read_text().splitlines()) == ATTEMPTS
        assert await run.db.fetchval("select attempts from postmill.steps") == ATTEMPTS


async def test_an_attempt_that_is_cut_with_its_worker_is_none_and_is_made_again(
    database_url: str, tmp_path: Path
) -> None:
    """Only the end of an attempt is written down: one that never ended is made once more, and not counted."""
    file = tmp_path / "tries"
    async with running(database_url, retrying(file, 3600).handler(), begin=False) as run:
        await run.db.execute(REGISTER)
        run_id = await run.db.fetchval(START)
        process = await victim(database_url, file, 3600, 0)
        await recorded(run, 1, "waiting")
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await taken_back(run)
        process = await victim(database_url, file, 3600, 2)
        assert await process.wait() == -signal.SIGKILL
        assert await run.db.fetchval("select attempts from postmill.steps") == 1
        await taken_back(run)
        await run.engine.start()
        await recorded(run, 2, "waiting")
        await run.let_go()
        await due(run)
        assert (await end_of(run, run_id))[0] == "failed"
        assert len(file.read_text().splitlines()) == ATTEMPTS + 1
        assert await run.db.fetchval("select attempts from postmill.steps") == ATTEMPTS


UNGUARDED = (
    Change("_audit_runs", r"for no key update skip locked\) as free", "for no key update) as free"),
    Change("_audit_runs", r"missing\.due_at = free\.due_at", "missing.step is null"),
    Change("_audit_runs", r"where run\.run_id = any \(page\) and run\.ended_at is null", "where true"),
)
"""Waits for the run's row, and wakes the run whatever has become of it meanwhile."""
LOST = """
    select postmill._park_runs(array[run_id], array[wake],
                               array['[{"step": "go", "signal": "go", "timeout_s": 60}]'::jsonb])
      from postmill.runs
"""
AUDIT = "update postmill.flow_audit set due_at = '-infinity'"


async def audited_against(
    db: asyncpg.Connection, other: asyncpg.Connection, does: str
) -> tuple[str, list[int]]:
    """The run's state and its messages' numbers. Its timer is gone; while something that was done to the run
    is not committed, the audit looks at it.
    """
    await db.execute(REGISTER)
    run_id = await db.fetchval(START)
    await db.execute(LOST)
    await db.execute(f"delete from pgmq.q_{FLOW}")
    transaction = db.transaction()
    await transaction.start()
    assert await db.fetchval(does, run_id)
    await other.execute("insert into postmill.flow_audit default values on conflict do nothing")
    await other.execute(AUDIT)
    looking = asyncio.create_task(other.fetchval("select postmill.sweep_flows()"))
    await waits_for_lock(db, other, looking)
    await transaction.commit()
    await looking
    wakes = await db.fetch(f"select (message ->> 'wake')::integer as wake from pgmq.q_{FLOW} order by msg_id")
    return await db.fetchval("select state from postmill.runs"), [row["wake"] for row in wakes]


RACES = [
    ("select postmill.signal_run($1, 'go', '1')", "running", [2]),
    ("select postmill.cancel_run($1)", "cancelled", []),
    ("select postmill.pause_run($1)", "paused", []),
]


@pytest.mark.parametrize(("does", "state", "wakes"), RACES)
async def test_the_audit_wakes_no_run_that_something_else_happens_to(
    adb: asyncpg.Connection, other: asyncpg.Connection, does: str, state: str, wakes: list[int]
) -> None:
    assert await audited_against(adb, other, does) == (state, wakes)


@pytest.mark.parametrize(("does", "state", "wakes"), RACES)
async def test_without_its_guard_the_audit_wakes_it_all_the_same(
    adb: asyncpg.Connection, other: asyncpg.Connection, does: str, state: str, wakes: list[int]
) -> None:
    """The control: the run has one message more than it should."""
    text = dict(scripts("functions"))["_audit_runs"]
    for change in UNGUARDED:
        text = change.apply(text)
    await adb.execute(text)
    found, numbers = await audited_against(adb, other, does)
    assert found == state
    assert len(numbers) == len(wakes) + 1


go: Signal[Any] = Signal("go", int)
made: Counter[int] = Counter()


@step(retry=Retry.fixed(0.02, max_attempts=3))
async def unlucky(run_id: int) -> int:
    """Fails twice."""
    made[run_id] += 1
    if made[run_id] < 3:
        raise ValueError("not yet")
    return made[run_id]


@workflow(queue="pausing", max_concurrent=50)
async def pausing(ctx: Ctx) -> list[Any]:
    """A wait beside a step that pauses."""
    return list(await asyncio.gather(ctx.wait(go, timeout=0.1), ctx.step(unlucky, ctx.run_id)))


async def test_timers_signals_cancellations_and_lost_messages_race(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """150 runs that are parked in each pause; timers are deleted meanwhile, and each has three attempts."""
    monkeypatch.setattr(execution, "PARKED_ABOVE_S", 0.0)
    made.clear()
    async with running(database_url, pausing.handler()) as run:
        ids = [await run.db.fetchval("select postmill.start_flow('pausing', '{}')") for _ in range(150)]
        cancelled = set()
        for run_id in random.sample(ids, len(ids)):
            await run.db.execute(
                "delete from pgmq.q_pausing where vt > clock_timestamp() and read_ct = 0 and msg_id % 3 = 0"
            )
            if run_id % 2:
                await run.db.fetchval("select postmill.signal_run($1, 'go', '1')", run_id)
            if run_id % 10 == 0 and await run.db.fetchval("select postmill.cancel_run($1)", run_id):
                cancelled.add(run_id)
        async with asyncio.timeout(30):
            while await run.count("postmill.runs where ended_at is null"):
                await run.db.execute(AUDIT)
                await run.db.execute("select postmill.sweep_flows()")
                await asyncio.sleep(0.02)
        await run.true_in_database("not exists (select from pgmq.q_pausing where vt <= clock_timestamp())")
        ended = await run.db.fetch("select run_id, state, output::text, reason from postmill.runs")
        assert {row["run_id"] for row in ended if row["state"] == "cancelled"} == cancelled
        assert [row for row in ended if row["state"] not in {"completed", "cancelled"}] == []
        assert {made[row["run_id"]] for row in ended if row["state"] == "completed"} == {3}
        assert max(made.values()) == 3
        assert await run.count("postmill.dead_letters") == 0
