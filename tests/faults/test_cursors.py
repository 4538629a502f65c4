"""Messages that become ready where a worker has been already: other clients, administrators and scripts
put them
there. All of them are taken, also while others keep coming.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest

from postmill import Context, Retry, worker
from postmill.model.events import Event
from postmill.model.queue import patrol
from postmill.model.queue.claim_policy import LOOKBACK_IDS
from postmill.sql.catalog import queue_statement
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.engine.claim.lane import Overlooked
    from postmill.model.queue.queue_name import QueueShape
    from tests.faults.scene import Scene
    from tests.service.running import Running

MANY = 50


@worker(queue="tasks", max_poll_seconds=0.3)
async def handle(payload: dict[str, int]) -> None:
    pass


@asynccontextmanager
async def traffic(run: Running) -> AsyncIterator[None]:
    """Messages that come without end, each before the one before it is forgotten."""

    over = asyncio.Event()

    async def send() -> None:
        async with asyncpg.create_pool(run.url, min_size=1, max_size=1) as pool:
            while not over.is_set():
                await pool.execute("select pgmq.send('tasks', '{}'::jsonb)")
                await asyncio.sleep(0.02)

    sending = asyncio.create_task(send())
    try:
        await run.until(Event.MESSAGE_COMPLETED, count=len(run.events(Event.MESSAGE_COMPLETED)) + 10)
        yield
    finally:
        over.set()
        await sending


def _hint(shape: QueueShape) -> str:
    return queue_statement("cursor_hint_write", shape)


async def _taken(run: Running, ids: list[int]) -> None:
    await run.until_true(lambda: set(ids) <= {each["msg_id"] for each in run.events(Event.MESSAGE_COMPLETED)})


async def _passed(run: Running, above: int) -> None:
    """Wait until the worker has got beyond an id."""
    await run.until_true(lambda: any(each["msg_id"] > above for each in run.events(Event.MESSAGE_COMPLETED)))


@pytest.fixture
def quick_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    made = patrol.Walk.next_step

    def next_step(walk: patrol.Walk, start: int, end: int, now_s: float) -> tuple[int, int] | None:
        walk.period_s = 0.3
        return made(walk, start, end, now_s)

    monkeypatch.setattr(patrol.Walk, "next_step", next_step)


@pytest.fixture
def no_patrol(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patrol.Walk, "next_step", lambda *_: None)


@pytest.mark.usefixtures("quick_rounds")
async def test_made_due_in_the_past_by_another_client(scene: Scene) -> None:
    """Under traffic the patrol followed the front, and never came back."""
    async with running(scene.url, handle) as run:
        ids = [
            await scene.db.fetchval("select * from pgmq.send('tasks', '{}'::jsonb, 3600)")
            for _ in range(MANY)
        ]
        async with traffic(run):
            await _passed(run, ids[-1] + LOOKBACK_IDS)
            await scene.db.execute(
                "update pgmq.q_tasks set vt = now() - interval '1 hour' where msg_id = any ($1)", ids
            )
            await _taken(run, ids)
            told = await run.until(Event.MESSAGE_OVERLOOKED)
        assert ids[0] <= told[0]["msg_id"] <= ids[-1]
        assert told[0]["waited_s"] >= 3600


@pytest.mark.usefixtures("quick_rounds")
@pytest.mark.parametrize(
    "taking",
    [
        "select msg_id from pgmq.read('tasks', 60, 5)",
        "select msg_id from pgmq.q_tasks where read_ct = 0 and message ? 'n' for update",
    ],
    ids=["a read that is rolled back", "rows that an administrator locks"],
)
async def test_locked_when_the_worker_came_by(scene: Scene, taking: str) -> None:
    other = await asyncpg.connect(scene.url)
    ids = await scene.send(5, n=1)
    async with other.transaction():
        locked = other.transaction()
        await locked.start()
        taken = {row["msg_id"] for row in await other.fetch(taking)}
        assert taken == set(ids)
        async with running(scene.url, handle) as run, traffic(run):
            await _passed(run, ids[-1] + LOOKBACK_IDS)
            await locked.rollback()
            await other.execute("select")
            assert not taken & {each["msg_id"] for each in run.events(Event.MESSAGE_COMPLETED)}
            await _taken(run, ids)
    await other.close()


@pytest.mark.usefixtures("quick_rounds")
async def test_what_a_transaction_keeps_locked_is_said(scene: Scene) -> None:
    """Ready for more than half a minute, in front of an idle worker. Once, not with each round."""
    other = await asyncpg.connect(scene.url)
    (msg_id,) = await scene.send()
    await scene.db.execute("update pgmq.q_tasks set vt = now() - interval '31 s'")
    async with other.transaction():
        await other.execute("select from pgmq.q_tasks for update")
        async with running(scene.url, handle) as run:
            await scene.send()
            await run.until(Event.MESSAGE_LOCKED)
            report = run.worker.claimer.lanes.on_overlooked
            rounds = asyncio.Queue[object]()

            def heard(found: Overlooked) -> None:
                report(found)
                rounds.put_nowait(found)

            run.worker.claimer.lanes.on_overlooked = heard
            async with asyncio.timeout(GIVE_UP_S):
                for _ in range(3):
                    await rounds.get()
            assert [each["msg_id"] for each in run.events(Event.MESSAGE_LOCKED)] == [msg_id]
    await other.close()


@pytest.mark.usefixtures("quick_rounds")
@pytest.mark.parametrize("old_ids", [[1, 2, 150], [0, -1, -(2**63) + 1]], ids=["old ids", "ids below one"])
async def test_rows_that_are_put_in_with_ids_below_the_floor(scene: Scene, old_ids: list[int]) -> None:
    """Under traffic, and for a worker that starts from the hint."""
    insert = (
        "insert into pgmq.q_tasks (msg_id, vt, message) overriding system value"
        " select id, now() - interval '1 hour', '{}' from unnest($1::bigint[]) as id"
    )
    async with running(scene.url, handle) as run:
        await scene.send(200)
        await run.until(Event.MESSAGE_COMPLETED, count=200)
        cursor = run.worker.claimer.lanes.cursor
        async with asyncio.timeout(30):
            while cursor.floor < 200:  # noqa: ASYNC110 - the floor is said nowhere
                await asyncio.sleep(0.01)
        await run.worker.claimer.lanes.write_hint()
        async with traffic(run):
            await scene.db.execute("delete from pgmq.a_tasks")
            await scene.db.execute(insert, old_ids)
            await scene.until("select not exists (select from pgmq.q_tasks where msg_id <= 200)")
            await run.until(Event.MESSAGE_OVERLOOKED)
    assert await scene.db.fetchval("select cursor_hint from postmill.queues") == 200
    await scene.db.execute("delete from pgmq.a_tasks")
    await scene.db.execute(insert, old_ids)
    async with running(scene.url, handle) as run:
        await _taken(run, old_ids)


RESETS = {
    "truncated": "truncate pgmq.q_tasks, pgmq.a_tasks restart identity",
    "purged, and the sequence set back": (
        "delete from pgmq.a_tasks; select setval('pgmq.q_tasks_msg_id_seq', 10)"
    ),
    "the sequence restarted": "delete from pgmq.a_tasks; alter sequence pgmq.q_tasks_msg_id_seq restart",
}


@pytest.mark.usefixtures("no_patrol")
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("restarted", [False, True], ids=["running", "started again"])
async def test_ids_that_start_again(scene: Scene, reset: str, restarted: bool) -> None:
    """With the table's OID unchanged. The hint of the time before keeps nobody from the new ones."""
    async with running(scene.url, handle) as run:
        await scene.send(100)
        await run.until(Event.MESSAGE_COMPLETED, count=100)
        lanes = run.worker.claimer.lanes
        await scene.db.execute(_hint(lanes.shape), "tasks", lanes.cursor.history, 100)
        if not restarted:
            await scene.db.execute(RESETS[reset])
            # A look or two: what is sent at once hides a sequence that went back.
            await asyncio.sleep(1)
            ids = await scene.send(5)
            await _taken(run, ids)
    if restarted:
        await scene.db.execute(RESETS[reset])
        async with running(scene.url, handle) as run:
            await _taken(run, await scene.send(5))


@pytest.mark.usefixtures("no_patrol")
async def test_a_hint_that_lies_ahead_of_the_sequence(scene: Scene) -> None:
    async with running(scene.url, handle) as run:
        await scene.send()
        await run.until(Event.MESSAGE_COMPLETED)
        lanes = run.worker.claimer.lanes
        await scene.db.execute(_hint(lanes.shape), "tasks", lanes.cursor.history, 10**12)
    async with running(scene.url, handle) as run:
        await scene.send(5)
        await run.until(Event.MESSAGE_COMPLETED, count=5)


@pytest.mark.usefixtures("no_patrol")
async def test_a_new_connection_begins_anew_from_the_hint(scene: Scene) -> None:
    """It may lead to another server, whatever that says of itself."""
    async with running(scene.url, handle) as run:
        await scene.send(100)
        await run.until(Event.MESSAGE_COMPLETED, count=100)
        cursor = run.worker.claimer.lanes.cursor
        await scene.db.execute("delete from pgmq.a_tasks")
        await scene.end_sessions("claims")
        await scene.db.execute(
            "insert into pgmq.q_tasks (msg_id, vt, message) overriding system value"
            " values (50, now() - interval '1 h', '{}')"
        )
        await scene.until("select not exists (select from pgmq.q_tasks)")
        assert run.worker.claimer.lanes.cursor is not cursor


async def test_columns_that_come_while_it_runs(scene: Scene) -> None:
    """pgmq is upgraded in place: what is claimed from then on has its headers, and so has the archive."""
    seen = []

    @worker(queue="tasks")
    async def keep(payload: dict[str, int], ctx: Context) -> None:
        seen.append(ctx.message.headers)

    tables = ("pgmq.q_tasks", "pgmq.a_tasks")
    for table in tables:
        await scene.db.execute(f"alter table {table} drop column headers, drop column last_read_at")
    async with running(scene.url, keep) as run:
        await scene.db.execute("insert into pgmq.q_tasks (vt, message) values (now(), '{}')")
        await run.until(Event.MESSAGE_COMPLETED)
        async with scene.db.transaction():
            for table in tables:
                await scene.db.execute(f"alter table {table} add column headers jsonb")
                await scene.db.execute(f"alter table {table} add column last_read_at timestamptz")
            await scene.db.execute(
                "insert into pgmq.q_tasks (vt, message, headers) values (now(), '{}', '{\"n\": 1}')"
            )
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        rows = await scene.db.fetch("select headers, last_read_at from pgmq.a_tasks order by msg_id")
    assert seen[1:] == [{"n": 1}]
    assert [row["headers"] for row in rows] == [None, '{"n": 1}']
    assert rows[1]["last_read_at"] is not None


async def test_columns_that_go_while_it_runs(scene: Scene) -> None:
    """Of the archive only: there is no place for headers there any more, and the message is done all the
    same.
    """
    async with running(scene.url, handle) as run:
        await scene.send()
        await run.until(Event.MESSAGE_COMPLETED)
        await scene.db.execute("alter table pgmq.a_tasks drop column headers")
        await scene.send()
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        assert await run.account() == {"queue": 0, "archive": 2, "dead": 0, "claims": 0}
        assert run.events(Event.WORKER_FAILED) == []


TIMES = ["infinity", "-infinity", "294000-01-01", "4700-01-01 BC"]


@pytest.mark.parametrize("at", TIMES)
async def test_times_that_are_no_dates(scene: Scene, at: str) -> None:
    """Parked for ever, due since ever, or sent then: what else is in the queue is worked on, and so are
    retries.
    """

    @worker(queue="tasks", max_poll_seconds=0.3, retry=Retry.fixed(0.05, 3))
    async def fail(payload: dict[str, int], ctx: Context) -> None:
        assert ctx.message.enqueued_at.tzinfo is not None
        if payload.get("fail"):
            raise ValueError

    async with running(scene.url, fail) as run:
        await scene.db.execute("select pgmq.send('tasks', '{}'::jsonb, $1::text::timestamptz)", at)
        await scene.db.execute(
            "insert into pgmq.q_tasks (vt, enqueued_at, message)"
            " values (now(), $1::text::timestamptz, '{\"fail\": 1}')",
            at,
        )
        await scene.send(3)
        due = at.startswith(("-", "4"))
        await run.until(Event.MESSAGE_COMPLETED, count=3 + due)
        (dead,) = await run.until(Event.MESSAGE_DEAD)
        assert dead["attempt"] == 3
        assert run.events(Event.WORKER_FAILED, Event.DATABASE_LOST) == []
        assert (await run.account())["queue"] == (not due)


async def test_a_running_message_is_moved_to_no_date(scene: Scene) -> None:
    """By another client; the leases of the others are renewed all the same."""
    release = asyncio.Event()

    @worker(queue="tasks", visibility_timeout=1)
    async def wait(payload: dict[str, int]) -> None:
        await release.wait()

    async with running(scene.url, wait) as run:
        ids = await scene.send(2)
        await run.until(Event.MESSAGE_CLAIMED, count=2)
        await scene.db.execute("update pgmq.q_tasks set vt = 'infinity' where msg_id = $1", ids[0])
        await run.until(Event.LEASE_LOST)
        await run.renewals(ids[1], 2)
        release.set()
        (done,) = await run.until(Event.MESSAGE_COMPLETED)
        assert done["msg_id"] == ids[1]
        assert run.events(Event.WORKER_FAILED, Event.DATABASE_LOST) == []
