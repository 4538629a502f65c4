"""SQL commands of schedules: each run is one row that says how the work ended, whatever ends it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from postmill.model.config.address import Address
from postmill.model.events import Event
from postmill.scheduler import sql_runs
from postmill.scheduler.command_session import CommandSession
from tests.service.commands import ended, firing, until

STATUS = "select status = $1 from postmill.schedule_history where name = 'job' order by tick limit 1"
COUNT = "select count(*) from postmill.schedule_history where name = 'job' and status = $1"

PAUSE = "perform pg_sleep(case when pg_try_advisory_lock(99) then 0.3 else 1 end);"
"""The first claim waits before it writes, the second until the first has committed."""


async def scheduled(adb: asyncpg.Connection, command: str, overlap: str = "skip", runs: int = 1) -> None:
    """A schedule with runs that wait."""
    await adb.execute("select postmill.schedule_sql('job', '@yearly', $1, overlap => $2)", command, overlap)
    for _ in range(runs):
        await adb.execute("select postmill.run_schedule('job')")


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("create table t (x int); insert into t values (1), (2)", "succeeded", "INSERT 0 2"),
        ("select 1", "succeeded", "SELECT 1"),
        ("vacuum", "succeeded", "VACUUM"),
        ("create table t (x int); commit; insert into t values (1); rollback", "succeeded", "ROLLBACK"),
        ("begin; create table t (x int)", "succeeded", "CREATE TABLE"),
        ("select nope", "failed", 'column "nope" does not exist'),
        ("create table t (x int); select 1 / 0", "failed", "division by zero"),
        ("copy postmill.queues from stdin", "failed", "COPY"),
        ("copy (select 1) to stdout", "succeeded", "COPY 1"),
        ("select pg_terminate_backend(pg_backend_pid())", "failed", "terminating connection"),
    ],
)
async def test_a_run_ends_with_the_servers_words(
    database_url: str, adb: asyncpg.Connection, command: str, status: str, said: str
) -> None:
    await scheduled(adb, command)
    async with firing(database_url):
        run = await ended(adb)
    assert run["status"] == status
    assert said in (run["returned"] or run["reason"])
    if command.startswith(("begin", "create table t (x int); select")):
        assert await adb.fetchval("select to_regclass('t') is null"), "what was not committed is undone"


async def test_it_is_running_while_it_runs_and_holds_up_no_tick(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """`succeeded` only when the work has succeeded; messages of other schedules are sent meanwhile."""
    await adb.execute("select pg_advisory_lock(1); select postmill.create_queue('tasks')")
    await adb.execute("select postmill.schedule('other', '1 second', 'tasks', overlap => 'allow')")
    await scheduled(adb, "select pg_advisory_xact_lock(1)")
    async with firing(database_url):
        await until(adb, STATUS, "running")
        sent = await adb.fetchval("select count(*) from pgmq.q_tasks")
        await until(adb, "select count(*) > $1 + 1 from pgmq.q_tasks", sent)
        assert await adb.fetchval(STATUS, "running")
        await adb.execute("select pg_advisory_unlock(1)")
        assert (await ended(adb))["status"] == "succeeded"


async def test_a_killed_session_ends_its_run_with_its_words(
    database_url: str, adb: asyncpg.Connection
) -> None:
    await scheduled(adb, "select pg_sleep(600)")
    async with firing(database_url):
        await until(adb, STATUS, "running")
        await adb.execute("select pg_terminate_backend(pid) from postmill.schedule_runs")
        assert "terminating connection" in (await ended(adb))["reason"]


async def test_a_stop_ends_what_runs_and_the_next_process_says_so(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """It is not run again: what it had committed stays."""
    await adb.execute("create table begun (x int)")
    await scheduled(adb, "insert into begun values (1); commit; select pg_sleep(600)", "queue")
    async with firing(database_url):
        await until(adb, STATUS, "running")
        await until(adb, "select count(*) = 1 from begun")
    async with firing(database_url):
        run = await ended(adb)
    assert (run["status"], run["reason"]) == (
        "unknown",
        "the scheduler ended while it ran: what it had committed stays",
    )
    assert await adb.fetchval("select count(*) from begun") == 1


async def test_runs_of_one_schedule_wait_for_each_other(database_url: str, adb: asyncpg.Connection) -> None:
    """Two processes, ten runs: never two at once, each once."""
    await adb.execute("create table spans (began timestamptz, ended timestamptz)")
    await scheduled(
        adb,
        "insert into spans values (clock_timestamp()); select pg_sleep(0.02);"
        "update spans set ended = clock_timestamp() where ended is null",
        "queue",
        runs=10,
    )
    async with firing(database_url), firing(database_url):
        await until(adb, f"select ({COUNT}) = 10", "succeeded")
    assert await adb.fetchval("select count(*) from spans") == 10
    assert (
        await adb.fetchval(
            "select count(*) from spans a join spans b on a.began < b.began and a.ended > b.began"
        )
        == 0
    )


LOCKS = (
    "for no key update of s skip locked",
    " or not pg_try_advisory_lock(postmill._command_lock(run_id))",
)


async def test_without_the_lock_of_the_schedule_they_overlap(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """The control: what runs is counted under the lock of the schedule's row, and the run has a lock too."""
    source = await adb.fetchval("select pg_get_functiondef('postmill.claim_command'::regproc)")
    for lock in LOCKS:
        assert lock in source
        source = source.replace(lock, "")
    pausing = source.replace(
        "update postmill.schedule_runs as run", f"{PAUSE} update postmill.schedule_runs as run", 1
    )
    await adb.execute(pausing)
    await scheduled(adb, "select 1", "queue", runs=2)
    sessions = [await CommandSession.open(Address(database_url)) for _ in range(2)]
    try:
        claimed = await asyncio.gather(*(session.claim() for session in sessions))
        assert [run is not None for run in claimed] == [True, True]
    finally:
        for session in sessions:
            session.terminate()


@pytest.mark.parametrize(
    ("overlap", "recurrence", "states"),
    [
        ("skip", "@hourly", ["running", "skipped", "skipped"]),
        ("queue", "@hourly", ["running", "pending", "pending"]),
        ("queue", "30 seconds", ["running", "pending", "skipped"]),
        ("allow", "@hourly", ["running", "running", "running"]),
    ],
)
async def test_what_becomes_of_a_tick_while_the_last_run_is_not_done(
    database_url: str, adb: asyncpg.Connection, overlap: str, recurrence: str, states: list[str]
) -> None:
    job = await adb.fetchval(
        "select postmill.schedule_sql('job', $1, 'select 1', overlap => $2)", recurrence, overlap
    )
    sessions = [await CommandSession.open(Address(database_url)) for _ in states]
    for place, session in enumerate(sessions):
        tick = datetime(2026, 5, 1, place, tzinfo=UTC)
        await adb.fetch(
            "select * from postmill.fire_schedules(array[$1::bigint], array[$2::timestamptz],"
            " array[null::timestamptz], array['2100-01-01'::timestamptz], array[null])",
            job,
            tick,
        )
        await session.claim()
    found = await adb.fetch("select status from postmill.schedule_history where name = 'job' order by tick")
    for session in sessions:
        session.terminate()
    assert [row["status"] for row in found] == states


async def test_a_process_runs_a_bounded_number_at_once(database_url: str, adb: asyncpg.Connection) -> None:
    await adb.execute("select pg_advisory_lock(1)")
    await scheduled(adb, "select pg_advisory_xact_lock_shared(1)", "allow", runs=sql_runs.AT_ONCE + 2)
    async with firing(database_url):
        await until(adb, f"select ({COUNT}) = $2", "running", sql_runs.AT_ONCE)
        assert await adb.fetchval(COUNT, "pending") == 2
        await adb.execute("select pg_advisory_unlock(1)")
        await until(adb, f"select ({COUNT}) = $2", "succeeded", sql_runs.AT_ONCE + 2)


async def test_at_the_start_of_the_service_fires_once_for_all_its_processes(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """The first process is the start; after the last one has ended, the next is a start again."""
    await adb.execute("select postmill.create_queue('tasks')")
    await adb.execute("select cron.schedule('job', '@reboot', 'select 1')")
    await adb.execute("select postmill.schedule('message', '@reboot', 'tasks')")
    for starts in (1, 2):
        async with firing(database_url):
            await until(adb, f"select ({COUNT}) = $2", "succeeded", starts)
            async with firing(database_url):
                await until(adb, "select count(*) = 2 from postmill._locked_by(postmill._runners_lock())")
        await until(adb, "select count(*) = 0 from postmill._locked_by(postmill._runners_lock())")
        assert await adb.fetchval("select count(*) from pgmq.q_tasks") == 1, "the first is not done"
    assert await adb.fetchval(COUNT, "succeeded") == 2
    assert await adb.fetchval("select next_at from postmill.schedule_list where name = 'job'") is None


async def test_a_lost_connection_is_no_start(database_url: str, adb: asyncpg.Connection) -> None:
    """The process lives: what is scheduled for its start has fired."""
    await adb.execute("select cron.schedule('job', '@reboot', 'select 1')")
    holding = "select count(*) = 1 from postmill._locked_by(postmill._runners_lock()) as pid where pid <> $1"
    async with firing(database_url):
        await until(adb, f"select ({COUNT}) = 1", "succeeded")
        pid = await adb.fetchval("select * from postmill._locked_by(postmill._runners_lock())")
        await adb.execute("select pg_terminate_backend($1)", pid)
        await adb.execute("select postmill.schedule_sql('other', '1 second', 'select 1')")
        await until(adb, holding, pid)
    assert await adb.fetchval("select count(*) from postmill.schedule_history where name = 'job'") == 1


async def test_a_schedule_that_a_session_has_locked_costs_no_loop_of_connections(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """A transaction that was forgotten: the run waits, and sessions are not opened all the time."""
    await scheduled(adb, "select 1")
    opened: list[int] = []
    open_session = CommandSession.open

    async def counted(address: Address) -> CommandSession:
        session = await open_session(address)
        opened.append(session.pid)
        return session

    async with adb.transaction():
        await adb.execute("select from postmill.schedules for update")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CommandSession, "open", counted)
            async with firing(database_url):
                await asyncio.sleep(1)
    assert len(opened) == 1


async def test_behind_a_pooler_no_command_runs_and_that_is_said_once(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """A lock and what a command leaves would stay with a session that other clients get."""
    await scheduled(adb, "select 1")
    async with firing(database_url, address=Address(database_url).with_pooler(True)) as said:
        async with asyncio.timeout(30):
            while not said:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert [(event, fields["reason"]) for event, fields in said] == [(Event.COMMAND_FAILED, sql_runs.POOLED)]
    assert await adb.fetchval(STATUS, "pending")


async def test_a_process_that_could_not_join_is_told_so_and_joins_later(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """One that started in the same moment held the lock for itself: the other never counted, and commands
    that only it may run were given up.
    """
    other = await asyncpg.connect(database_url)
    await other.execute("select pg_advisory_lock(postmill._runners_lock())")
    assert await adb.fetchval("select postmill.join_runners(true)") is None
    await other.close()
    async with asyncio.timeout(10):
        while not await adb.fetchval("select postmill.join_runners(true)"):  # noqa: ASYNC110 - its session ends
            await asyncio.sleep(0.02)
    assert await adb.fetchval("select count(*) from postmill._locked_by(postmill._runners_lock())") == 1
