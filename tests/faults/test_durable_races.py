"""A run that is laid aside while a signal is sent, and a run that two workers have: no signal is missed, and
no step has two outcomes.
"""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.flows import Ctx, Signal, workflow
from postmill.flows.running.workflow_handler import WorkflowHandler
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement, scripts
from tests.faults.durable_flows import MISTAKES, QUEUE, RECORDED, START, TABLE, journey, leg
from tests.faults.protocol import Change
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    from tests.service.running import Running

WITHOUT_LOCK = Change("_park_runs", r"(?m)^    perform from postmill\.runs .*$", "")
"""Parks runs, and looks for signals before it has their rows."""
REGISTER = "select postmill.register_flow('waiting', 'workflow', 'waiting', '{\"steps\": []}')"
WAITS = '[{"step": "go", "signal": "go"}]'
PARK = f"select postmill._park_runs(array[$1::bigint], array[0], array['{WAITS}'::jsonb])"


async def waits_for_lock(
    db: asyncpg.Connection, session: asyncpg.Connection, statement: asyncio.Task[Any]
) -> None:
    """Until the statement of ``session`` waits for a lock, or is over."""
    waiting = "select wait_event_type = 'Lock' from pg_stat_activity where pid = $1"
    async with asyncio.timeout(GIVE_UP_S):
        pid = session.get_server_pid()
        while not statement.done() and not await db.fetchval(waiting, pid):  # noqa: ASYNC110 - nobody says it
            await asyncio.sleep(0.005)


async def parked_against_signal(
    db: asyncpg.Connection, other: asyncpg.Connection, watcher: asyncpg.Connection
) -> tuple[str, int]:
    """The run's state, and how many messages there are, after a signal that was sent, and not committed, when
    the run was laid aside.
    """
    await db.execute(REGISTER)
    run_id = await db.fetchval("select postmill.start_flow('waiting', '{}')")
    await db.execute("delete from pgmq.q_waiting")
    transaction = db.transaction()
    await transaction.start()
    assert await db.fetchval("select postmill.signal_run($1, 'go', '1')", run_id)
    parking = asyncio.create_task(other.execute(PARK, run_id))
    await waits_for_lock(watcher, other, parking)
    await transaction.commit()
    await parking
    return await db.fetchval("select state from postmill.runs"), await db.fetchval(
        "select count(*) from pgmq.q_waiting"
    )


async def test_a_signal_that_is_sent_while_the_run_is_laid_aside_is_seen(
    database_url: str, adb: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    watcher = await asyncpg.connect(database_url)
    assert await parked_against_signal(adb, other, watcher) == ("running", 1)
    await watcher.close()


async def test_without_the_runs_lock_it_is_missed(
    database_url: str, adb: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    """The control: the run waits for ever for a signal that it was sent."""
    await adb.execute(WITHOUT_LOCK.apply(dict(scripts("functions"))["_park_runs"]))
    watcher = await asyncpg.connect(database_url)
    assert await parked_against_signal(adb, other, watcher) == ("waiting", 0)
    await watcher.close()


async def test_a_signal_that_comes_after_wakes_the_run_once(adb: asyncpg.Connection) -> None:
    await adb.execute(REGISTER)
    run_id = await adb.fetchval("select postmill.start_flow('waiting', '{}')")
    await adb.execute("delete from pgmq.q_waiting")
    await adb.execute(PARK, run_id)
    await adb.execute(PARK, run_id)  # a second one, with a message of the same number
    assert await adb.fetchval("select postmill.signal_run($1, 'go', '1')", run_id)
    assert await adb.fetchval("select jsonb_agg(message)::text from pgmq.q_waiting") == json.dumps(
        [{"run": run_id, "wake": 2}]
    )


signals: list[Signal[Any]] = [Signal(f"e{n}", int) for n in range(3)]


@workflow(queue="racing", max_concurrent=50)
async def racing(ctx: Ctx) -> list[int | None]:
    """Three waits."""
    return [await ctx.wait(signal, timeout=0.05) for signal in signals]


async def test_signals_timers_and_parks_race(database_url: str) -> None:
    """100 runs with three waits each, whose time ends about when the signals come; each message twice."""
    async with running(database_url, racing.handler(), begin=False) as run:
        await run.db.execute(
            "select postmill.register_flow('racing', 'workflow', 'racing', '{\"steps\": []}')"
        )
        ids = [await run.db.fetchval("select postmill.start_flow('racing', '{}')") for _ in range(100)]
        await run.db.execute("insert into pgmq.q_racing (vt, message) select vt, message from pgmq.q_racing")
        await run.engine.start()
        sent = {
            (run_id, name): await run.db.fetchval("select postmill.signal_run($1, $2, '1')", run_id, name)
            for name in ("e0", "e1", "e2")
            for run_id in random.sample(ids, 70)
        }
        await run.true_in_database("not exists (select from postmill.runs where ended_at is null)")
        await run.true_in_database("not exists (select from pgmq.q_racing)")
        outputs = await run.db.fetch("select run_id, output from postmill.runs")
        given = {
            (row["run_id"], f"e{place}"): value
            for row in outputs
            for place, value in enumerate(json.loads(row["output"]))
        }
        recorded = {
            (row["run_id"], row["step"]): row["output"] and 1
            for row in await run.db.fetch("select run_id, step, output from postmill.steps")
        }
        assert given == recorded
        assert set(given.values()) == {None, 1}
        assert all(sent.get(wait) for wait, value in given.items() if value)
        assert await run.count("postmill.dead_letters") == 0


async def test_a_worker_that_has_lost_its_message_records_nothing(adb: asyncpg.Connection) -> None:
    await adb.execute(REGISTER)
    run_id = await adb.fetchval("select postmill.start_flow('waiting', '{}')")
    text = queue_statement("run_checkpoint", QueueShape("waiting", 0))

    async def write(read_ct: int, output: str) -> Any:
        ids, nothing = ("{1}", f"{{{read_ct}}}", f"{{{run_id}}}", "{0}"), [[None]] * 5
        rows = await adb.fetch(text, *ids, ["s"], ["completed"], [output], *nothing)
        return [(row["written"], row["output"], row["newest"]) for row in rows]

    await adb.execute("select pgmq.read('waiting', 0, 1), pgmq.read('waiting', 0, 1)")
    assert await write(1, "1") == [(False, None, True)]
    assert await write(2, "2") == []
    assert await write(2, "3") == [(False, "2", True)]
    assert await write(1, "4") == [(False, "2", True)]
    assert await adb.fetchval("select output from postmill.steps") == "2"


async def test_two_workers_with_one_run_give_it_one_result(database_url: str) -> None:
    """Each message is doubled, as somebody who may send to the queue could do: both copies run at once."""

    async def doubled(run: Running) -> None:
        await run.db.execute(
            f"create function twice() returns trigger language plpgsql as $$ begin"
            f"   insert into pgmq.q_{QUEUE} (vt, message) select vt, message from fresh; return null; end $$;"
            f" create trigger twice after insert on pgmq.q_{QUEUE} referencing new table as fresh"
            f" for each statement when (pg_trigger_depth() = 0) execute function twice()"
        )

    handlers = [WorkflowHandler(journey, leg) for _ in range(2)]
    async with running(database_url, handlers[0]) as run, running(database_url, handlers[1]):
        await run.db.execute(TABLE)
        await doubled(run)
        for _ in range(20):
            run_id = await run.db.fetchval(START)
            await run.db.execute("select postmill.signal_run($1, 'go', '7')", run_id)
        await run.true_in_database("not exists (select from postmill.runs where ended_at is null)")
        await run.true_in_database(f"not exists (select from pgmq.q_{QUEUE})")
        assert await run.db.fetch(MISTAKES, RECORDED) == []
        assert await run.count("postmill.runs") == 40
        assert await run.count("postmill.dead_letters") == 0
