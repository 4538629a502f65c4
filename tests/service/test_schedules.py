"""Schedules beside real workers: their messages run, and their runs end as the work does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from postmill import Dead, worker
from postmill.db.hot.looking_service import QUIET_S
from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.engine import Engine
from postmill.model.config.address import Address
from postmill.model.events import Event
from postmill.scheduler.scheduler import Scheduler
from postmill.service.events import Events
from postmill.service.outage import Outage
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.handlers import Worker

GIVE_UP_S = 60.0
HOUR = timedelta(hours=1)
PAST = "update postmill.schedules set changed_at = changed_at - interval '1 day', next_at = null"


@asynccontextmanager
async def at_work(url: str, *workers: Worker) -> AsyncIterator[list[tuple[Event, dict[str, object]]]]:
    """A process with workers and the scheduler; yields what the process says."""
    said: list[tuple[Event, dict[str, object]]] = []
    engine = Engine(workers, Address(url), [Scheduler])
    engine.events.listeners.append(lambda event, fields: said.append((event, dict(fields))))
    await engine.start()
    try:
        yield said
    finally:
        await engine.stop()


async def ended(adb: asyncpg.Connection, status: str) -> None:
    last = "select status from postmill.schedule_history order by tick desc limit 1"
    async with asyncio.timeout(GIVE_UP_S):
        while await adb.fetchval(last) != status:  # noqa: ASYNC110 - only the database shows it
            await asyncio.sleep(0.02)


async def scheduled(adb: asyncpg.Connection, url: str, *arguments: str) -> None:
    """An hourly schedule that is due."""
    await adb.execute("select postmill.create_queue('tasks')")
    more = "".join(f", {argument}" for argument in arguments)
    await adb.execute(f"select postmill.schedule('hourly', '@hourly', 'tasks', '1'{more})")
    await adb.execute(PAST)


@pytest.mark.parametrize(("outcome", "status"), [(None, "succeeded"), (Dead("no"), "failed")])
async def test_a_run_ends_as_its_message_does(
    database_url: str, adb: asyncpg.Connection, outcome: Dead | None, status: str
) -> None:
    @worker(queue="tasks")
    async def handle(_: int) -> None:
        if outcome is not None:
            raise outcome

    await scheduled(adb, database_url)
    async with at_work(database_url, handle):
        await ended(adb, status)


async def test_succeeded_is_not_said_when_it_was_only_sent(
    database_url: str, adb: asyncpg.Connection
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @worker(queue="tasks")
    async def handle(_: int) -> None:
        begun.set()
        await go_on.wait()

    await scheduled(adb, database_url)
    async with at_work(database_url, handle):
        await begun.wait()
        assert await adb.fetchval("select status from postmill.schedule_history") == "sent"
        go_on.set()
        await ended(adb, "succeeded")


async def test_a_replayed_letter_is_still_of_its_run(database_url: str, adb: asyncpg.Connection) -> None:
    failures = [Dead("no")]

    @worker(queue="tasks")
    async def handle(_: int) -> None:
        if failures:
            raise failures.pop()

    await scheduled(adb, database_url)
    async with at_work(database_url, handle):
        await ended(adb, "failed")
        await adb.execute("select postmill.replay('tasks')")
        await ended(adb, "succeeded")


async def test_a_schedule_that_can_not_be_read_says_so_once_and_keeps_no_other_from_firing(
    database_url: str, adb: asyncpg.Connection
) -> None:
    @worker(queue="tasks")
    async def handle(_: int) -> None: ...

    await scheduled(adb, database_url)
    await adb.execute("select postmill.schedule('odd', '61 * * * *', 'tasks')")
    async with at_work(database_url, handle) as said:
        await ended(adb, "succeeded")
        assert [fields["schedule"] for event, fields in said if event is Event.SCHEDULE_FAILED] == ["odd"]
    odd = "from postmill.schedule_list where name = 'odd'"
    assert await adb.fetchval(f"select state {odd}") == "broken"
    assert "can't be read" in await adb.fetchval(f"select problem {odd}")


async def test_a_schedule_with_a_group_holds_up_no_message_that_is_ready(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """Elsewhere a lock on a job that is due later blocks those that are ready."""
    done = asyncio.Event()

    @worker(queue="tasks")
    async def handle(number: int) -> None:
        if number == 2:
            done.set()

    await scheduled(adb, database_url, """options => '{"group_key": "g", "delay_s": 999999}'""")
    await adb.execute("select postmill.limit_groups('tasks', max_running => 1)")
    async with at_work(database_url, handle):
        await ended(adb, "sent")
        await adb.execute("select postmill.send('tasks', '2', group_key => 'g')")
        async with asyncio.timeout(GIVE_UP_S):
            await done.wait()


async def test_a_schedule_is_seen_at_once_when_it_is_made_changed_or_resumed(
    database_url: str, adb: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the notification it would be the floor's turn, which does not come here."""
    monkeypatch.setattr("postmill.db.hot.looking_service.QUIET_S", 3600.0)

    @worker(queue="tasks")
    async def handle(_: object) -> None: ...

    async def seen(change: str) -> None:
        await adb.execute(change)
        async with asyncio.timeout(GIVE_UP_S):
            while await adb.fetchval("select next_at is null from postmill.schedules"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    await adb.execute("select postmill.create_queue('tasks')")
    async with at_work(database_url, handle):
        await seen("select postmill.schedule('a', '@yearly', 'tasks')")
        await seen("select postmill.schedule('a', '@monthly', 'tasks')")
        await seen("select postmill.pause_schedule('a'); select postmill.resume_schedule('a')")
        await adb.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where application_name = 'postmill claims' and datname = current_database()"
        )
        await seen("select postmill.schedule('a', '@weekly', 'tasks')")


async def test_a_time_that_is_changed_while_a_tick_is_being_fired(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """The tick fires once, by the old time; the new one counts from the change, and is not overwritten."""
    await scheduled(adb, database_url)
    await adb.execute("update postmill.schedules set next_at = date_trunc('hour', now())")
    firing = await asyncpg.connect(database_url)
    async with firing.transaction():
        [due] = await firing.fetch(statement("schedules_due"), 100)
        change = asyncio.create_task(
            adb.execute("select postmill.schedule('hourly', '@daily', 'tasks', '2')")
        )
        waits = "select exists (select from pg_locks where not granted and pid = $1)"
        while not await firing.fetchval(waits, adb.get_server_pid()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        tick = due["next_at"]
        await firing.execute(
            statement("schedules_fire"), [due["schedule_id"]], [tick], [tick], [tick + HOUR], [None]
        )
    await change
    await firing.close()
    [run] = await adb.fetch("select tick, status from postmill.schedule_runs")
    assert tuple(run) == (tick, "sent")
    assert await adb.fetchval("select message from pgmq.q_tasks") == "1"
    changed = "select recurrence, next_at, changed_at > $1 from postmill.schedules"
    [row] = await adb.fetch(changed, tick)
    assert tuple(row) == ("@daily", None, True)


async def test_a_tick_is_not_fired_while_its_time_is_being_changed(
    database_url: str, adb: asyncpg.Connection
) -> None:
    await scheduled(adb, database_url)
    await adb.execute("update postmill.schedules set next_at = date_trunc('hour', now())")
    firing = await asyncpg.connect(database_url)
    async with adb.transaction():
        await adb.execute("select postmill.schedule('hourly', '@daily', 'tasks', '2')")
        async with firing.transaction():
            assert await firing.fetch(statement("schedules_due"), 100) == []
    await firing.close()


async def test_a_missed_tick_is_told(database_url: str, adb: asyncpg.Connection) -> None:
    @worker(queue="tasks")
    async def handle(_: int) -> None: ...

    await scheduled(adb, database_url, "catch_up => 'none'")
    await adb.execute("select postmill.schedule('daily', '@daily', 'tasks', '1')")
    await adb.execute("update postmill.schedules set next_at = date_trunc('hour', now()) - interval '3 days'")
    async with at_work(database_url, handle) as said:
        await ended(adb, "succeeded")
        async with asyncio.timeout(GIVE_UP_S):
            while len(told := missed(said)) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert sorted(told) == [("daily", "one"), ("hourly", "none")]


def missed(said: list[tuple[Event, dict[str, object]]]) -> list[tuple[object, object]]:
    return [
        (fields["schedule"], fields["catch_up"]) for event, fields in said if event is Event.SCHEDULE_MISSED
    ]


async def test_a_role_that_may_not_fire_goes_on_working(database_url: str, adb: asyncpg.Connection) -> None:
    """It has no right to the schedules: that is said, and no reason to end the process."""
    done = asyncio.Event()

    @worker(queue="tasks")
    async def handle(_: int) -> None:
        done.set()

    await scheduled(adb, database_url)
    await adb.execute("revoke all on all tables in schema postmill from public")
    role = (
        f"only_works_{await adb.fetchval('select oid from pg_database where datname = current_database()')}"
    )
    await adb.execute(f"""
        create role {role} login;
        grant usage on schema postmill, pgmq to {role};
        grant select, insert, update, delete on all tables in schema postmill, pgmq to {role};
        grant usage, select on all sequences in schema postmill, pgmq to {role};
        grant execute on all functions in schema postmill, pgmq to {role};
        revoke all on postmill.schedules from {role};
    """)
    try:
        async with at_work(database_url.replace("postgres@", f"{role}@"), handle) as said:
            await adb.execute("select pgmq.send('tasks', '1')")
            async with asyncio.timeout(GIVE_UP_S):
                await done.wait()
                while not any(event is Event.SCHEDULE_FAILED for event, _ in said):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
    finally:
        await adb.execute(f"drop owned by {role}; drop role {role}")


async def test_a_schedule_in_the_code_is_made_changed_and_removed_at_a_start(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """The code that drops it drops it from the database too, and that is said."""

    async def changes(**options: str) -> list[object]:
        @worker(queue="tasks", **options)
        async def handle(_: object) -> None: ...

        said: list[object] = []
        engine = Engine([handle], Address(database_url))
        engine.on_worker.append(
            lambda each: each.events.listeners.append(
                lambda event, fields: (
                    said.append(fields["change"]) if event is Event.SCHEDULE_DECLARED else None
                )
            )
        )
        await engine.start()
        await engine.stop()
        return said

    hourly, daily = {"schedule": "@hourly"}, {"schedule": "0 3 * * *", "timezone": "Europe/Berlin"}
    assert [await changes(**options) for options in ({}, hourly, hourly, daily, {}, {})] == [
        [],
        ["made"],
        [],
        ["changed"],
        ["removed"],
        [],
    ]


async def test_a_schedule_that_a_person_made_is_not_taken_over_by_code(
    database_url: str, adb: asyncpg.Connection
) -> None:
    await adb.execute("select postmill.create_queue('tasks')")
    await adb.execute("select postmill.schedule('tasks.handle', '@daily', 'tasks')")

    @worker(queue="tasks", schedule="@hourly")
    async def handle(_: object) -> None: ...

    async with at_work(database_url, handle):
        assert await adb.fetchval("select recurrence from postmill.schedule_list") == "@daily"


async def test_a_schedule_that_another_session_holds_is_not_asked_for_all_the_time(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """A transaction that someone forgot made every process ask forty times a second."""

    @worker(queue="tasks")
    async def handle(_: int) -> None: ...

    await scheduled(adb, database_url)
    await adb.execute("update postmill.schedules set next_at = now()")
    async with adb.transaction():
        await adb.execute("select from postmill.schedules for update")
        engine = Engine([handle], Address(database_url), [Scheduler])
        await engine.start()
        before = engine.statements
        await asyncio.sleep(1.5)
        asked = engine.statements - before
        await engine.stop()
    assert asked <= 3 * 5, "a look at the schedules a second, and those of a worker that rests"


async def test_a_schedule_whose_times_no_calendar_has_keeps_no_other_from_firing(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """It failed every batch, and after eight of them the process ended."""

    @worker(queue="tasks")
    async def handle(_: int) -> None: ...

    await scheduled(adb, database_url)
    await adb.execute("select postmill.schedule('odd', '@daily', 'tasks')")
    await adb.execute("update postmill.schedules set changed_at = '9999-12-31 12:00+00' where name = 'odd'")
    async with at_work(database_url, handle):
        await ended(adb, "succeeded")
        state = "select state from postmill.schedule_list where name = 'odd'"
        assert await adb.fetchval(state) == "broken"


async def test_a_scheduler_at_rest_asks_twice_a_minute(database_url: str, adb: asyncpg.Connection) -> None:
    """Twenty idle processes ask twice in three seconds, all together."""
    await adb.execute("select postmill.create_queue('tasks')")
    await adb.execute("select postmill.schedule('yearly', '@yearly', 'tasks')")
    shared, events = SharedConnection(Address(database_url), "schedules"), Events()
    scheduler = Scheduler(shared, events, Outage(events, is_passing))
    while await scheduler.run_once():
        pass
    commits = "select xact_commit from pg_stat_database where datname = current_database()"
    await flushed(shared)
    before = await adb.fetchval(commits)
    for _ in range(50):
        assert not await scheduler.run_once()
    await flushed(shared)
    assert 50 <= await adb.fetchval(commits) - before <= 60
    assert QUIET_S == 30
    await shared.close()


async def flushed(shared: SharedConnection) -> None:
    """The counts of what the session has sent are handed in."""
    await shared.execute("select pg_stat_force_next_flush()")
    await shared.execute("select 1")
