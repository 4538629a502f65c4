"""Workers and clients behind PgBouncer in transaction mode. It knows no prepared statements, and two
statements in a row may reach two different server sessions.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from postmill import AsyncClient, Client, Context, Dead, Retry, Snooze, worker
from postmill.db.hot.database_probe import DatabaseProbe
from postmill.engine.claim import listener
from postmill.engine.claim.listener import Listener
from postmill.host.instance.claims import Claims
from postmill.model.config.address import parse
from postmill.model.events import Event
from postmill.scheduler.scheduler import Scheduler
from postmill.service.events import Events
from tests.faults.account import Account
from tests.faults.pooler import Pooler, pooler
from tests.faults.processes import worker_process
from tests.faults.proxy import proxied
from tests.service.running import GIVE_UP_S, Running, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from postmill.handlers import Worker
    from postmill.model.config.address import Address
    from tests.faults.processes import WorkerProcess
    from tests.faults.scene import Scene


@pytest.fixture
def pooled(database_url: str) -> Iterator[Pooler]:
    """PgBouncer in front of the test's database."""
    with pooler(database_url) as made:
        yield made
        assert "ERROR" not in made.log
        assert "WARNING" not in made.log


@asynccontextmanager
async def behind(
    pooled: Pooler, database_url: str, *workers: Worker, listen: bool = False
) -> AsyncIterator[Running]:
    """Workers that know the pooler's address only, as if it were a server's."""
    address = parse(pooled.url, listen_url=database_url if listen else None)
    assert not address.pooled
    async with running(database_url, *workers, address=address) as run:
        yield run
        assert run.events(Event.WORKER_FAILED, Event.DATABASE_LOST, Event.LEASE_LOST) == []


ENDINGS = ("complete", "retry", "dead", "snooze", "transaction", "db", "send")


@worker(keep_results=True, max_concurrent=20, retry=Retry.fixed(0, 3))
async def every_ending(ending: str, ctx: Context) -> dict[str, Any]:
    """End as the payload says, through every service of the context."""
    if ending == "retry" and ctx.attempt == 1:
        raise RuntimeError("not the first time")
    if ending == "dead":
        raise Dead("as told")
    if ending == "snooze" and ctx.message.read_ct == 1:
        raise Snooze(0)
    if ending == "transaction":
        async with ctx.transaction() as tx:
            await tx.send("next", await tx.fetchval("select $1::integer", ctx.message.msg_id))
    if ending == "db":
        async with ctx.db as connection:
            await connection.execute("select pgmq.send('next', to_jsonb($1::bigint))", ctx.message.msg_id)
    if ending == "send":
        ctx.send("next", ctx.message.msg_id)
    return {"ending": ending}


async def test_every_way_to_end(database_url: str, pooled: Pooler) -> None:
    times = 20
    async with behind(pooled, database_url, every_ending) as run:
        await run.db.execute("select postmill.create_queue('next')")
        for ending in ENDINGS * times:
            await run.send(f'"{ending}"')
        await run.until(Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD, count=len(ENDINGS) * times)
        await run.let_go()
        assert await run.account() == {"queue": 0, "archive": 6 * times, "dead": times, "claims": 0}
        sent = await run.db.fetch("select message::text::bigint as id from pgmq.q_next order by 1")
        third = [n + 1 for n in range(len(ENDINGS) * times) if ENDINGS[n % len(ENDINGS)] in ENDINGS[4:]]
        assert [row["id"] for row in sent] == third
        assert await run.count("postmill.results") == 6 * times
        kinds = await run.db.fetch("select kind, count(*) from postmill.failures group by kind")
        assert {row["kind"]: row["count"] for row in kinds} == {"error": 2 * times}


@pytest.mark.parametrize("allowed", [2, 4])
async def test_what_a_handler_does_on_its_connection_is_its_own(
    database_url: str, pooled: Pooler, allowed: int
) -> None:
    """Also where it borrows the settlements' one: a statement that fails spoils no other, and one that worked
    stays when the handler fails.
    """

    @worker(max_pg_connections=allowed, retry=Retry.none)
    async def handle(number: int, ctx: Context) -> None:
        async with ctx.db as connection:
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.fetchval("select 1 / ($1::integer - 1)", number)
            await connection.execute("select pgmq.send('next', '1')")
            raise RuntimeError

    async with behind(pooled, database_url, handle) as run:
        await run.db.execute("select postmill.create_queue('next')")
        await run.send("1")
        await run.until(Event.MESSAGE_DEAD)
        assert await run.db.fetchval("select error_type from postmill.dead_letters") == "RuntimeError"
        assert await run.count("pgmq.q_next") == 1


async def test_a_batch_of_messages(database_url: str, pooled: Pooler) -> None:
    @worker(batch=10, on_success="delete")
    async def add(numbers: list[int], ctx: Context) -> list[Any]:
        async with ctx.db as connection:
            assert await connection.fetchval("select sum(n) from unnest($1::int[]) as n", numbers) == sum(
                numbers
            )
        return [Dead("odd") if number % 2 else None for number in numbers]

    async with behind(pooled, database_url, add) as run:
        for number in range(50):
            await run.send(str(number))
        await run.until(Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD, count=50)
        await run.let_go()
        assert await run.account() == {"queue": 0, "archive": 0, "dead": 25, "claims": 0}


@pytest.mark.parametrize("poller", ["auto", "notify"])
async def test_it_finds_out_by_itself_and_says_so_once(
    database_url: str, pooled: Pooler, poller: str
) -> None:
    @worker(poller=poller, poll_interval_ms=20, max_poll_seconds=60)
    async def handle(number: int) -> None:
        pass

    async with behind(pooled, database_url, handle) as run:
        for number in range(1, 4):
            await run.send("1")
            await run.until(Event.MESSAGE_COMPLETED, count=number)
        (said,) = run.events(Event.WORKER_POLLING)
        assert "listen_url" in said["reason"]
        assert await run.count("postmill.idle_workers") == 0
        assert await run.count("postmill.workers where lock_key is not null") == 0


async def test_with_a_direct_address_beside_it_notifications_come(database_url: str, pooled: Pooler) -> None:
    """Its poll floor is a minute away, and the test ends long before."""

    @worker(max_poll_seconds=60, poll_interval_ms=60_000)
    async def handle(number: int) -> None:
        pass

    async with behind(pooled, database_url, handle, listen=True) as run:
        for number in range(1, 6):
            await run.idle()
            await run.send("1")
            await run.until(Event.MESSAGE_COMPLETED, count=number)
        assert run.events(Event.WORKER_POLLING) == []


@worker(max_poll_seconds=60, poll_interval_ms=20)
async def woken_or_polling(number: int) -> None:
    """A poll floor of a minute with notifications, of a moment without."""


async def test_a_direct_address_that_is_a_pooler_too(database_url: str, pooled: Pooler) -> None:
    """LISTEN there would be heard by whoever has that session next."""
    address = parse(pooled.url, listen_url=pooled.url)
    async with running(database_url, woken_or_polling, address=address) as run:
        for number in range(1, 4):
            await run.send("1")
            await run.until(Event.MESSAGE_COMPLETED, count=number)
        (said,) = run.events(Event.WORKER_POLLING)
        assert "pooler" in said["reason"]


async def test_a_direct_address_that_refuses_the_login_is_told_once(
    database_url: str, pooled: Pooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong password in it stays wrong at every try; the worker polls, and its log is not filled."""
    tries = 0

    async def refuse(_address: Address) -> Address:
        nonlocal tries
        tries += 1
        raise asyncpg.InvalidPasswordError("password authentication failed")

    monkeypatch.setattr(listener, "with_known_pooler", refuse)
    address = parse(pooled.url, listen_url=database_url)
    async with running(database_url, woken_or_polling, address=address) as run:
        async with asyncio.timeout(GIVE_UP_S):
            while tries < 3:  # noqa: ASYNC110 - a try that fails again is not said
                await asyncio.sleep(0.01)
        await run.send("1")
        await run.until(Event.MESSAGE_COMPLETED)
        (said,) = run.events(Event.WORKER_POLLING)
        assert "password authentication failed" in said["reason"]
        assert run.events(Event.WORKER_FAILED) == []


async def test_a_direct_address_that_comes_and_goes(database_url: str, pooled: Pooler) -> None:
    """Work goes on without it, and is called again when it is back; each loss is said once."""
    async with proxied(database_url) as direct:
        direct.mode = "refuse"
        address = parse(pooled.url, listen_url=direct.url)
        async with running(database_url, woken_or_polling, address=address) as run:
            for lost in (1, 2):
                await run.send("1")
                await run.until(Event.MESSAGE_COMPLETED, count=2 * lost - 1)
                await run.until(Event.WORKER_POLLING, count=lost)
                direct.mode = "pass"
                async with asyncio.timeout(GIVE_UP_S):
                    while not run.worker.claimer.notified:  # noqa: ASYNC110 - good news is not said
                        await asyncio.sleep(0.01)
                await run.idle()
                await run.send("1")
                await run.until(Event.MESSAGE_COMPLETED, count=2 * lost)
                direct.mode = "refuse"
                direct.reset()
            await run.until(Event.WORKER_POLLING, count=3)
            assert run.events(Event.DATABASE_LOST) == []


async def test_a_lease_is_renewed_and_a_running_message_cancelled(database_url: str, pooled: Pooler) -> None:
    """Renewals, signs of life and cancel requests go through it too."""

    @worker(visibility_timeout=1)
    async def handle(number: int, ctx: Context) -> None:
        await asyncio.Event().wait()

    async with behind(pooled, database_url, handle) as run:
        msg_id = await run.send("1")
        await run.renewals(msg_id, 3)
        await run.db.execute("select postmill.cancel('tasks', $1)", msg_id)
        await run.until(Event.MESSAGE_CANCELLED)
        await run.let_go()
        assert (await run.account())["queue"] == 0


async def test_a_stop_gives_back_what_has_not_begun(database_url: str, pooled: Pooler) -> None:
    busy = asyncio.Event()
    leave = asyncio.Event()

    @worker(max_concurrent=1, batch_size=10)
    async def handle(number: int, ctx: Context) -> None:
        busy.set()
        await leave.wait()

    async with behind(pooled, database_url, handle) as run:
        for number in range(10):
            await run.send(str(number))
        await busy.wait()
        stopping = asyncio.create_task(run.engine.stop())
        await run.until(Event.WORKER_DRAINING)
        leave.set()
        await stopping
        assert await run.account() == {"queue": 9, "archive": 1, "dead": 0, "claims": 0}
        assert await run.count("postmill.workers where stop_reason = 'shutdown'") == 1


async def test_the_async_client(adb: asyncpg.Connection, pooled: Pooler) -> None:
    """Sends that overlap, a batch in several statements, and a queue made on the way."""
    async with AsyncClient(pooled.url) as client:
        await client.create_queue("tasks")
        await asyncio.gather(*(client.send("tasks", {"n": n}, headers={"n": n}) for n in range(50)))
        ids = await client.send_many("tasks", range(12_000))
    assert len(ids) == 12_000
    assert await adb.fetchval("select count(distinct msg_id) from pgmq.q_tasks") == 12_050


async def test_the_sync_client(adb: asyncpg.Connection, pooled: Pooler) -> None:
    """More sends than it takes a driver to prepare a statement by itself."""
    with Client(pooled.url) as client:
        client.create_queue("tasks")
        for number in range(20):
            client.send("tasks", {"n": number}, delay=number)
        assert len(client.send_many("tasks", range(12_000))) == 12_000
    assert await adb.fetchval("select count(distinct msg_id) from pgmq.q_tasks") == 12_020


async def test_a_full_pooler_is_no_failure_of_a_handler(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It lets the heartbeat and the claims in, and nobody else: handlers wait until there is room."""
    asking = asyncio.Event()

    @worker(max_pg_connections=4, max_concurrent=5)
    async def handle(number: int, ctx: Context) -> None:
        asking.set()
        async with ctx.db as connection:
            await connection.fetchval("select 1")

    with pooler(database_url, clients=4) as pooled:
        strangers = [await asyncpg.connect(pooled.url, statement_cache_size=0) for _ in range(2)]
        async with running(database_url, handle, address=parse(pooled.url)) as run:
            for number in range(20):
                await run.send(str(number))
            await asking.wait()
            async with asyncio.timeout(GIVE_UP_S):
                while "no more connections allowed" not in pooled.log:  # noqa: ASYNC110 - it says it only there
                    await asyncio.sleep(0.01)
            assert run.events(Event.MESSAGE_COMPLETED) == []
            for stranger in strangers:
                await stranger.close()
            await run.until(Event.MESSAGE_COMPLETED, count=20)
            assert await run.count("postmill.failures") == 0
    log = [(record.getMessage(), getattr(record, "fields", {})) for record in caplog.records]
    (reason,) = (said["reason"] for event, said in log if event == "database.lost" and said["queue"] == "*")
    assert "max_client_conn" in reason


PROCESSES = 3
CONNECTIONS = 4
POOL = 6
ROUNDS = 8
SILENCE_S = 10
"""The shortest silence by which a worker is judged. Behind a pooler no lock shows that one has died, and one
with a longer lease is waited for until that is over, also from the server's start on.
"""


@pytest.mark.slow
@pytest.mark.parametrize("pooling", [True, False], ids=["pooler", "direct"])
async def test_a_storm_of_kills_opens_no_session_too_many(scene: Scene, pooling: bool) -> None:
    """Workers die with fast handlers at work and others take their place: the server's sessions stay within
    the pool, or within the workers' limits, no handler meets an error, and every message ends once.
    """
    options = {
        "kind": "fast",
        "max_concurrent": 100,
        "max_pg_connections": CONNECTIONS,
        "retry": [0, 50],
        "visibility_timeout": SILENCE_S,
    }
    with ExitStack() as stack:
        url, most = scene.url, PROCESSES * CONNECTIONS
        if pooling:
            url = stack.enter_context(pooler(scene.url, pool=POOL, clients=most)).url
            most = POOL
        start = partial(worker_process, url, rescues_at_once=True, **options)
        workers = [stack.enter_context(start()) for _ in range(PROCESSES)]
        async with counted_sessions(scene) as counted:
            for _ in range(ROUNDS):
                victim = await caught_at_work(scene, workers)
                victim.kill()
                workers.remove(victim)
                await judged_dead(scene, victim.pid, pooling=pooling)
                workers.append(stack.enter_context(start()))
            await scene.until("select not exists (select from pgmq.q_tasks)")
            await scene.until("select not exists (select from postmill.claims)")
        assert 0 < max(counted) <= most
    account = await scene.account()
    assert set(account.failures) <= {"crash", "lost_lease"}
    assert replace(account, failures={}) == Account(completed=len(scene.sent))


async def caught_at_work(scene: Scene, workers: list[WorkerProcess]) -> WorkerProcess:
    """One that holds messages, just now: there are always some to be had."""
    by_pid = {each.pid: each for each in workers}
    while True:
        if await scene.db.fetchval("select count(*) < 1000 from pgmq.q_tasks"):
            await scene.send(1_000)
        pid = await scene.db.fetchval(
            "select pid from postmill.claims join postmill.workers using (worker_id)"
            " where pid = any ($1::int[]) order by random() limit 1",
            list(by_pid),
        )
        if pid is not None:
            return by_pid[pid]


async def judged_dead(scene: Scene, pid: int, *, pooling: bool) -> None:
    """It was silent for long enough, and its last claim is as old. Without a pooler its own sessions are gone
    first.
    """
    if not pooling:
        await scene.until(
            "select not exists (select from postmill.workers"
            " where pid = $1 and postmill.lock_is_held(lock_key))",
            pid,
        )
        await scene.until(f"select {SESSIONS} <= {(PROCESSES - 1) * CONNECTIONS}")
    await scene.db.execute(
        "with silent as ("
        "  update postmill.workers set last_heartbeat_at = last_heartbeat_at - $2::float8 * interval '1 s'"
        "   where pid = $1 returning worker_id)"
        " update postmill.claims set claimed_at = claimed_at - $2::float8 * interval '1 s'"
        "  where worker_id in (select worker_id from silent)",
        pid,
        SILENCE_S,
    )


SESSIONS = (
    "(select count(*) from pg_stat_activity where datname = current_database()"
    " and application_name <> 'test' and pid <> pg_backend_pid())"
)
"""Sessions that are neither the test's nor its watcher's."""


@asynccontextmanager
async def counted_sessions(scene: Scene) -> AsyncIterator[list[int]]:
    """How many sessions there are, again and again until the end."""
    counted: list[int] = []
    await scene.db.execute("set application_name = 'test'")
    watcher = await asyncpg.connect(scene.url, server_settings={"application_name": "test"})

    async def watch() -> None:
        while True:
            counted.append(await watcher.fetchval(f"select {SESSIONS}"))

    watching = asyncio.create_task(watch())
    try:
        yield counted
        assert not watching.done()
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        await watcher.close()


async def test_what_the_host_opens_leaves_no_setting_on_shared_sessions(pooled: Pooler) -> None:
    """An isolate had ended, and other people's queries lost their sequential scans."""
    claims = Claims(parse(pooled.url), Events())
    probe = DatabaseProbe(parse(pooled.url))
    assert await probe.answers()
    await claims.give_back("f", [str(uuid4())], "crash")
    others = [await asyncpg.connect(pooled.url, statement_cache_size=0) for _ in range(pooled.pool)]
    asked = "select pg_backend_pid(), current_setting('enable_seqscan'), current_setting('plan_cache_mode')"
    transactions = [other.transaction() for other in others]
    for transaction in transactions:  # held, so that each is on another server session
        await transaction.start()
    seen = [tuple((await other.fetch(asked))[0]) for other in others]
    assert {row[1:] for row in seen} == {("on", "auto")}
    assert len({row[0] for row in seen}) == pooled.pool
    for transaction, other in zip(transactions, others, strict=True):
        await transaction.rollback()
        await other.close()
    await claims.close()
    await probe.close()


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit, RuntimeError])
@pytest.mark.parametrize("method", ["run_once", "rest"])
async def test_a_listener_that_breaks_listens_again(
    database_url: str,
    pooled: Pooler,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    error: type[BaseException],
) -> None:
    """Its end is said once, readiness knows, and the next message is called for: a poll is a minute away."""
    original, broken = getattr(Listener, method), asyncio.Event()

    async def breaks_once(self: Listener) -> object:
        if not broken.is_set():
            broken.set()
            raise error
        return await original(self)

    address = parse(pooled.url, listen_url=database_url)
    async with running(database_url, woken_or_polling, address=address) as run:
        (listener,) = [service for service in run.engine.services if isinstance(service, Listener)]
        troubles: list[str | None] = []
        listener.on_failure.append(lambda _: troubles.append(run.engine.not_ready))
        monkeypatch.setattr(Listener, method, breaks_once)
        async with asyncio.timeout(GIVE_UP_S):
            while not broken.is_set() or run.engine.not_ready is not None or not run.worker.claimer.notified:
                listener.wake()
                await asyncio.sleep(0.02)
        assert ["listener has failed" in str(trouble) for trouble in troubles] == [True]
        await run.idle()
        await run.send("1")
        await run.until(Event.MESSAGE_COMPLETED)


async def test_schedules_fire_and_new_ones_are_found_by_the_floor(
    pooled: Pooler, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No notification comes through, and nothing listens for one: that would stay in the pool's session."""
    monkeypatch.setattr("postmill.db.hot.looking_service.FLOOR_S", 0.5)

    @worker(queue="tasks")
    async def handle(_: object) -> None: ...

    address = parse(pooled.url)
    async with running(database_url, handle, address=address, services=[Scheduler]) as run:
        await run.db.execute("select postmill.schedule('often', '1 second', 'tasks')")
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        ticks = "select count(*) = count(distinct tick) from postmill.schedule_runs where status <> 'skipped'"
        assert await run.db.fetchval(ticks)
        assert run.events(Event.SCHEDULE_FAILED) == []
    listening = (
        "select query from pg_stat_activity where datname = current_database() and query ilike 'listen%'"
    )
    async with AsyncExitStack() as stack:
        db = await asyncpg.connect(database_url)
        stack.push_async_callback(db.close)
        assert await db.fetch(listening) == []
