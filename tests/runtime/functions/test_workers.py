"""Workers in isolates: they claim and settle there; the host keeps them running, replaces them without a gap,
and returns at once what a dead one held.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
import pytest

from postmill.model.config.address import Address
from postmill.model.events import Event
from postmill.model.functions.failures import BootFailed
from postmill.model.functions.limits import EndReason, Limits
from tests.runtime.functions.scene import GIVE_UP_S, Scene, copy_functions, hosting, is_alive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OTHERS = """
    select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
"""
"""Connections to a test's database that are not its own."""
WORKING = Path(__file__).parent / "working"


class HostDatabase:
    """The database of a test, and the host whose workers use it."""

    def __init__(self, scene: Scene, db: asyncpg.Connection[Any]) -> None:
        self.scene = scene
        self.db = db

    async def send(self, queue: str, count: int = 1, payload: object = "x") -> None:
        """Messages, sent the way another client would."""
        text = orjson.dumps(payload).decode()
        await self.db.execute(
            "select pgmq.send($1, $2::jsonb) from generate_series(1, $3)", queue, text, count
        )

    async def value(self, sql: str) -> Any:
        """One value."""
        return await self.db.fetchval(f"select {sql}")

    async def until(self, condition: str) -> None:
        """Wait for what only the database shows."""
        async with asyncio.timeout(GIVE_UP_S):
            while not await self.value(condition):  # noqa: ASYNC110 - nobody else says it
                await asyncio.sleep(0.02)

    async def started(self, slug: str) -> dict[str, Any]:
        """What the function's URL answers."""
        answer: dict[str, Any] = orjson.loads((await self.scene.call(slug, method="POST")).body)
        return answer

    async def claiming(self, slug: str) -> None:
        """Start a worker, and wait until it is at work."""
        await self.started(slug)
        await self.until("exists (select from postmill.idle_workers)")


@asynccontextmanager
async def working(folder: Path, url: str, *names: str, **options: Any) -> AsyncIterator[HostDatabase]:
    """A host with the worker functions ``names`` on the database ``url``."""
    copy_functions(folder, WORKING, *names)
    db = await asyncpg.connect(url)
    try:
        await db.execute("create table runs (msg_id bigint, pid int); create table gates (name text)")
        async with hosting(folder, *options.pop("broken", ()), address=Address(url), **options) as scene:
            yield HostDatabase(scene, db)
        assert await db.fetchval(OTHERS) == 0
    finally:
        await db.close()


async def test_a_request_starts_a_worker_and_the_next_one_finds_it(tmp_path: Path, database_url: str) -> None:
    async with working(tmp_path / "f", database_url, "tally") as database:
        first, second = await database.started("tally"), await database.started("tally")
        assert (first["status"], second["status"]) == ("started", "running")
        assert first["workerId"] == second["workerId"]
        assert first["functionName"] == "tally"
        await database.claiming("tally")
        await database.send("tally", 20, payload=1)
        await database.until("(select count(*) from pgmq.a_tally) = 20")
        assert await database.value("count(*) from runs") == 20


async def test_a_worker_has_as_many_processes_as_its_settings_say(tmp_path: Path, database_url: str) -> None:
    """Requests make no more of them, and one that is killed is replaced."""
    settings = {"tally": {"instances": 2}}
    async with working(tmp_path / "f", database_url, "tally", settings=settings) as database:
        idle = "postmill.idle_workers join postmill.workers using (worker_id)"
        two = f"(select count(distinct pid) from {idle}) = 2"
        await database.started("tally")
        await database.until(two)
        assert (await database.started("tally"))["status"] == "running"
        killed = await database.value("min(pid) from postmill.workers")
        os.kill(killed, signal.SIGKILL)
        await database.scene.until(Event.FUNCTION_SHUTDOWN, "tally")
        await database.until(f"(select count(*) from postmill.workers where pid <> {killed}) = 2")
        await database.until(two)
        assert await database.value("count(*) from postmill.workers") == 3


async def test_what_a_killed_worker_held_is_returned_and_counted(tmp_path: Path, database_url: str) -> None:
    async with working(tmp_path / "f", database_url, "waits") as database:
        await database.claiming("waits")
        await database.send("waits", payload="gate")
        await database.until("exists (select from runs)")
        os.kill(await database.value("pid from runs"), signal.SIGKILL)
        (said,) = await database.scene.until(Event.FUNCTION_SHUTDOWN, "waits")
        assert (said["reason"], said["exit"]) == (EndReason.CRASH, "signal 9")
        assert said["memory_bytes"] > 0
        await database.until("(select count(*) from runs) = 2")
        assert await database.value("array_agg(kind) from postmill.failures") == ["crash"]
        assert "Crash" in await database.value("error_message from postmill.failures")
        await database.db.execute("insert into gates values ('gate')")
        await database.until("(select count(*) from pgmq.a_waits) = 1")


async def test_a_worker_that_exits_in_its_handler_loses_no_message(tmp_path: Path, database_url: str) -> None:
    """Also those it had claimed a moment before, and never run."""
    async with working(tmp_path / "f", database_url, "dies_once") as database:
        await database.value("postmill.create_queue('dies_once')")
        await database.send("dies_once", 10)
        await database.started("dies_once")
        await database.until("(select count(*) from pgmq.a_dies_once) = 10")
        assert await database.value("count(*) from postmill.claims") == 0
        assert await database.value("count(*) from postmill.dead_letters") == 0


async def test_a_running_message_outlasts_its_workers_replacement(tmp_path: Path, database_url: str) -> None:
    async with working(tmp_path / "f", database_url, "waits") as database:
        await database.claiming("waits")
        await database.send("waits", payload="slow")
        await database.until("exists (select from runs)")
        old = await database.value("pid from runs")
        await database.scene.host.recycle("waits")
        assert is_alive(old)
        await database.db.execute("insert into gates values ('fast')")
        await database.send("waits", payload="fast")
        await database.until("(select count(*) from pgmq.a_waits) = 1")
        await database.db.execute("insert into gates values ('slow')")
        (said,) = await database.scene.until(Event.FUNCTION_SHUTDOWN, "waits")
        assert (said["reason"], said["exit"]) == (EndReason.EARLY_DROP, "exit 0")
        assert await database.value("count(*) from pgmq.a_waits") == 2
        assert await database.value("count(*) from runs") == 2
        assert await database.value("count(*) from postmill.failures") == 0


async def test_twenty_replacements_under_load_run_no_message_twice(tmp_path: Path, database_url: str) -> None:
    async with working(tmp_path / "f", database_url, "tally") as database:
        await database.claiming("tally")
        sender = await asyncpg.connect(database_url)
        stop = asyncio.Event()

        async def send() -> int:
            sent = 0
            while not stop.is_set():
                await sender.execute("select pgmq.send('tally', '1'::jsonb) from generate_series(1, 10)")
                sent += 10
                await asyncio.sleep(0.01)
            return sent

        sending = asyncio.create_task(send())
        try:
            for _ in range(20):
                await database.scene.host.recycle("tally")
        finally:
            stop.set()
            sent = await sending
            await sender.close()
        ends = await database.scene.until(Event.FUNCTION_SHUTDOWN, "tally", 20)
        assert {said["reason"] for said in ends} == {EndReason.EARLY_DROP}
        await database.until(f"(select count(*) from pgmq.a_tally) = {sent}")
        assert await database.value("count(*) from runs") == sent
        assert await database.value("count(distinct msg_id) from runs") == sent
        assert await database.value("count(distinct pid) from runs") > 10
        assert await database.value("count(*) from postmill.failures") == 0


async def test_a_worker_at_its_soft_limit_takes_nothing_new_and_finishes_what_it_runs(
    tmp_path: Path, database_url: str
) -> None:
    """Its handler hears of it. What is sent from then on is run by the replacement, which came unasked."""
    settings = {"burns_up": {"limits": Limits(cpu_soft_s=3)}}
    async with working(tmp_path / "f", database_url, "burns_up", settings=settings) as database:
        await database.claiming("burns_up")
        await database.send("burns_up", payload="burn")
        await database.until("exists (select from gates where name = 'shutdown')")
        (retired,) = database.scene.events(Event.FUNCTION_RETIRED, "burns_up")
        await database.send("burns_up", 5)
        await database.until("(select count(*) from pgmq.a_burns_up) = 5")
        assert not database.scene.events(Event.FUNCTION_SHUTDOWN, "burns_up")
        await database.db.execute("insert into gates values ('end')")
        (said,) = await database.scene.until(Event.FUNCTION_SHUTDOWN, "burns_up")
        assert retired["why"] == EndReason.CPU_TIME
        assert (said["reason"], said["exit"]) == (EndReason.EARLY_DROP, "exit 0")
        assert await database.value("count(*) from pgmq.a_burns_up") == 6
        ran = await database.db.fetch("select count(*) from runs group by pid order by 1")
        assert [each["count"] for each in ran] == [1, 5]


async def test_a_worker_made_in_two_steps_is_one(tmp_path: Path, database_url: str) -> None:
    async with working(tmp_path / "f", database_url, "two_in_one") as database:
        await database.claiming("two_in_one")
        assert await database.value("count(*) from postmill.workers") == 1
        await database.send("two_in_one", 5)
        task = """select pgmq.send('two_in_one', '"x"', '{"postmill-task": "other"}'::jsonb)"""
        await database.db.execute(task)
        await database.until("(select count(*) from pgmq.a_two_in_one) = 6")


async def test_a_storm_of_kills_leaves_no_connection(tmp_path: Path, database_url: str) -> None:
    """The server ends the sessions of dead workers: no more are there than one living worker needs."""
    async with working(tmp_path / "f", database_url, "waits") as database:
        await database.claiming("waits")
        one_worker = await database.db.fetchval(OTHERS)
        killed = [0]
        for _ in range(3):
            fresh = f"from postmill.workers where pid <> all (array{killed})"
            await database.until(f"exists (select {fresh})")
            killed.append(await database.value(f"pid {fresh}"))
            os.kill(killed[-1], signal.SIGKILL)
        await database.until(f"({OTHERS}) <= {one_worker + 1}")  # and one that returns claims


async def test_a_worker_that_keeps_dying_is_given_time(tmp_path: Path, database_url: str) -> None:
    options = {"broken": ("crash_loop",)}
    async with working(tmp_path / "f", database_url, **options) as database:
        assert (await database.started("crash_loop"))["status"] == "started"
        said = await database.scene.until(Event.FUNCTION_BROKEN, "crash_loop")
        assert said[0]["failures"] == 5
        assert {end["reason"] for end in database.scene.events(Event.FUNCTION_SHUTDOWN, "crash_loop")} == {
            EndReason.CRASH
        }
        states = {info.slug: info.state for info in database.scene.host.functions()}
        assert states["crash_loop"] == "broken"
        assert (await database.scene.call("healthy")).status == 200


async def test_a_worker_that_was_stopped_stays_stopped_until_somebody_asks(
    tmp_path: Path, database_url: str
) -> None:
    async with working(tmp_path / "f", database_url, "tally") as database:
        await database.scene.host.start_workers()
        assert (await database.started("tally"))["status"] == "running"
        await database.scene.host.stop_function("tally")
        (said,) = await database.scene.until(Event.FUNCTION_SHUTDOWN, "tally")
        assert (said["reason"], said["exit"]) == (EndReason.TERMINATION_REQUESTED, "exit 0")
        assert not [
            info for info in database.scene.host.functions() if info.slug == "tally" and info.instances
        ]
        assert (await database.started("tally"))["status"] == "started"


async def test_without_a_database_a_worker_is_a_boot_error(tmp_path: Path) -> None:
    copy_functions(tmp_path / "f", WORKING, "tally")
    async with hosting(tmp_path / "f") as scene:
        with pytest.raises(BootFailed) as caught:
            await scene.call("tally")
        assert "database" in caught.value.why


async def test_a_worker_that_fails_to_start_once_is_tried_again(tmp_path: Path, database_url: str) -> None:
    """It was never tried again: the list said idle, the probe ready, and its messages waited for ever."""
    async with working(tmp_path / "f", database_url, "starts_late") as database:
        host = database.scene.host
        await host.start_workers()
        assert str(host.trouble) == "the function starts_late does not start"
        (state,) = [info.state for info in host.functions() if info.slug == "starts_late"]
        assert state == "starting"
        await database.scene.until(Event.FUNCTION_BROKEN, "starts_late")
        (state,) = [info.state for info in host.functions() if info.slug == "starts_late"]
        assert state == "broken"
        (tmp_path / "f" / "_there").touch()
        await database.until("exists (select from postmill.idle_workers)")
        await database.send("starts_late")
        await database.until("(select count(*) from pgmq.a_starts_late) = 1")
        assert host.trouble is None
        assert len(database.scene.events(Event.FUNCTION_BOOTED, "healthy")) == 1, "a handler is started once"


async def test_recycle_starts_a_worker_that_was_stopped(tmp_path: Path, database_url: str) -> None:
    async with working(tmp_path / "f", database_url, "tally") as database:
        host = database.scene.host
        await host.start_workers()
        await host.stop_function("tally")
        await host.recycle("tally")
        assert [info.instances for info in host.functions() if info.slug == "tally"] == [1]
        await database.until("exists (select from postmill.idle_workers)")
        await database.send("tally", payload=1)
        await database.until("(select count(*) from pgmq.a_tally) = 1")


async def test_recycle_tells_that_a_stopped_worker_does_not_start(tmp_path: Path, database_url: str) -> None:
    async with working(tmp_path / "f", database_url, "starts_late") as database:
        with pytest.raises(BootFailed):
            await database.scene.host.recycle("starts_late")
        assert len(database.scene.events(Event.FUNCTION_BOOT_FAILED, "starts_late")) == 1


async def test_a_worker_whose_loop_hangs_is_replaced_and_its_message_runs_again(
    tmp_path: Path, database_url: str
) -> None:
    """An endless loop in an async handler: the queue went on only after the whole wall clock."""
    limits = Limits(blocked_s=6)
    async with working(
        tmp_path / "f", database_url, "spins_once", settings={"spins_once": {"limits": limits}}
    ) as database:
        await database.claiming("spins_once")
        await database.send("spins_once")
        (said,) = await database.scene.until(Event.FUNCTION_BLOCKED, "spins_once")
        assert "in spins_once" in said["traceback"]
        await database.until("(select count(*) from pgmq.a_spins_once) = 1")
        assert await database.value("array_agg(kind) from postmill.failures") == ["crash"]
        ends = await database.scene.until(Event.FUNCTION_SHUTDOWN, "spins_once")
        assert [end["reason"] for end in ends] == [EndReason.BLOCKED]
