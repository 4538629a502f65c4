"""A database that fails while workers use it: sessions ended, locks, limits, a server that refuses to write.

The worker recovers by itself; nothing is lost, nothing is settled twice, and the log has one line that says
it is gone and one that says it is back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from postmill.model.config.address import parse
from postmill.model.events import Event
from tests.faults.account import Account
from tests.faults.handlers import handler
from tests.service.running import running
from tests.service.test_addresses import counting_silent_host, with_hosts

if TYPE_CHECKING:
    from tests.faults.scene import Scene
    from tests.service.running import Running


def outages(run: Running) -> tuple[int, int]:
    """How often the database was said to be lost, and to be back."""
    return len(run.events(Event.DATABASE_LOST)), len(run.events(Event.DATABASE_BACK))


@pytest.mark.parametrize("session", ["claims", "settlements", "heartbeat", "handlers", ""])
async def test_an_idle_session_is_ended(scene: Scene, session: str) -> None:
    """The next one is opened when it is needed; at most one statement was unlucky."""
    async with running(scene.url, handler()) as run:
        await scene.send(2)
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        await scene.end_sessions(session)
        await scene.send(2)
        await run.until(Event.MESSAGE_COMPLETED, count=4)
        await run.until_true(lambda: outages(run) in {(0, 0), (1, 1)})
    assert await scene.account() == Account(completed=4)
    assert await scene.runs() == [1, 1, 1, 1]


async def test_a_session_is_ended_while_it_claims(scene: Scene) -> None:
    async with running(scene.url, handler()) as run:
        await scene.shut_gate("postmill.claims")
        await scene.send()
        await scene.turn_back()
        await run.until(Event.MESSAGE_COMPLETED)
        await run.until_true(lambda: outages(run) == (1, 1))
    assert await scene.account() == Account(completed=1)
    assert await scene.runs() == [1]


@pytest.mark.parametrize(
    ("outcome", "table", "failures"),
    [
        ("complete", "pgmq.a_tasks", {}),
        ("retry", "postmill.failures", {"error": 1}),
        ("dead", "postmill.dead_letters", {"error": 1}),
    ],
)
async def test_a_session_is_ended_while_it_settles(
    scene: Scene, outcome: str, table: str, failures: dict[str, int]
) -> None:
    """The outcome is kept, and written again: the handler does not run again for it."""
    async with running(scene.url, handler()) as run:
        await scene.shut_gate(table)
        await scene.send(outcome=outcome)
        await scene.turn_back()
        await run.until(Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD)
        await run.until_true(lambda: outages(run) == (1, 1))
    ended = {"dead": 1} if outcome == "dead" else {"completed": 1}
    assert await scene.account() == Account(**ended, failures=failures)
    assert await scene.runs() == [2 if outcome == "retry" else 1]


async def test_every_session_is_ended_again_and_again(scene: Scene) -> None:
    async with running(scene.url, handler(max_concurrent=5)) as run:
        for round_ in range(1, 6):
            await scene.send(20)
            await scene.end_sessions()
            await run.until(Event.MESSAGE_COMPLETED, count=round_ * 5)
        await run.until_true(lambda: _ended(run) == 100)
    account = await scene.account()
    assert (account.completed, account.queued, account.lost, account.doubled, account.claims) == (
        100,
        0,
        0,
        0,
        0,
    )


def _ended(run: Running) -> int:
    return len({fields["msg_id"] for fields in run.events(Event.MESSAGE_COMPLETED)})


@pytest.mark.slow
async def test_a_settlement_that_waits_longer_than_a_lease_keeps_its_message(scene: Scene) -> None:
    """A finished handler is not a failed one: while its outcome can't be written, its lease is renewed."""
    async with running(scene.url, handler(visibility_timeout=1)) as run:
        async with scene.locked("pgmq.a_tasks"):
            await scene.send()
            await scene.until("select exists (select from postmill.claims)")
            began = await scene.db.fetchval("select clock_timestamp()")
            await scene.until("select clock_timestamp() > $1::timestamptz + interval '3 s'", began)
        await run.until(Event.MESSAGE_COMPLETED)
    assert await scene.account() == Account(completed=1)
    assert await scene.runs() == [1]


@pytest.mark.parametrize("setting", ["statement_timeout", "lock_timeout"])
async def test_a_time_limit_of_the_servers_does_not_reach_a_settlement(scene: Scene, setting: str) -> None:
    """The limit is 100 ms. One settlement waits more than twice as long for a lock, and is not ended for it.
    Handlers keep the limit, so that it can't be a much shorter one on a busy machine.
    """
    await _set(scene, setting, "100ms")
    async with running(scene.url, handler()) as run:
        await scene.shut_gate("pgmq.a_tasks")
        await scene.send()
        await scene.until(
            "select exists (select from pg_locks where not granted and locktype = 'advisory'"
            " and database = (select oid from pg_database where datname = current_database())"
            " and clock_timestamp() - waitstart > interval '250 ms')"
        )
        await scene.open_gate()
        await run.until(Event.MESSAGE_COMPLETED)
    assert await scene.account() == Account(completed=1)
    assert await scene.runs() == [1]


async def test_a_settlement_that_is_cancelled_on_the_server_is_sent_again(scene: Scene) -> None:
    """An administrator cancels it. Its handler does not run again for it."""
    async with running(scene.url, handler()) as run:
        await scene.shut_gate("pgmq.a_tasks")
        await scene.send()
        assert await scene.db.fetchval("select pg_cancel_backend($1)", await scene.at_the_gate())
        await run.until(Event.DATABASE_LOST)
        await scene.open_gate()
        await run.until(Event.MESSAGE_COMPLETED)
        await run.until_true(lambda: outages(run) == (1, 1))
    assert await scene.account() == Account(completed=1)
    assert await scene.runs() == [1]


async def test_a_lock_that_outlasts_a_settlements_patience_is_waited_out(scene: Scene) -> None:
    """A settlement waits half a second for a lock, then it is sent again until it gets through."""
    async with running(scene.url, handler()) as run:
        await scene.shut_gate("pgmq.a_tasks")
        await scene.send()
        await run.until(Event.DATABASE_LOST)
        await scene.open_gate()
        await run.until(Event.MESSAGE_COMPLETED)
        await run.until_true(lambda: outages(run) == (1, 1))
    assert await scene.account() == Account(completed=1)
    assert await scene.runs() == [1]


async def test_a_deadlock_with_a_stranger_is_tried_again(scene: Scene) -> None:
    """The stranger locks two messages in the wrong order, and is the more patient one."""
    async with running(scene.url, handler("batch", batch=2)) as run:
        stranger = await asyncpg.connect(scene.url)
        await stranger.execute("set deadlock_timeout = '1min'")
        await scene.db.execute("select postmill.pause('tasks')")
        await run.until(Event.QUEUE_PAUSED)
        await scene.shut_gate("runs")
        first, second = await scene.send(2)
        await scene.db.execute("select postmill.resume('tasks')")
        await scene.at_the_gate()
        holding = stranger.transaction()
        await holding.start()
        await stranger.execute("select from pgmq.q_tasks where msg_id = $1 for update", second)
        await scene.open_gate()
        await scene.until(
            "select exists (select from pg_locks where not granted and locktype = 'transactionid')"
        )
        await stranger.execute("select from pgmq.q_tasks where msg_id = $1 for update", first)
        await holding.rollback()
        await stranger.close()
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        await run.until_true(lambda: outages(run) == (1, 1))
    assert await scene.account() == Account(completed=2)
    assert await scene.runs() == [1, 1]


async def test_a_server_that_has_become_read_only_is_waited_for(scene: Scene) -> None:
    """As after a failover; a session keeps the setting that it began with, and must be left."""
    async with running(scene.url, handler()) as run:
        await _set(scene, "default_transaction_read_only", "on")
        await scene.end_sessions()
        await run.until(Event.DATABASE_LOST)
        await scene.send()
        await _set(scene, "default_transaction_read_only", "off")
        await run.until(Event.MESSAGE_COMPLETED)
        # One session may be writable again while another has yet to find out that it is not.
        await run.until_true(lambda: len(set(outages(run))) == 1)
    assert await scene.account() == Account(completed=1)
    assert await scene.runs() == [1]


async def test_a_promotion_behind_a_dead_first_host(scene: Scene) -> None:
    """The first host takes connections and says nothing, the second is a standby, then it is promoted. Each
    try of the first cost 5 s.
    """
    with counting_silent_host() as (silent, _):
        address = parse(with_hosts(scene.url, silent) + "&sslmode=disable")
        async with running(scene.url, handler(), address=address) as run:
            await _set(scene, "default_transaction_read_only", "on")
            await scene.end_sessions()
            await run.until(Event.DATABASE_LOST)
            await scene.send()
            await asyncio.sleep(2)  # the back-off has reached its bound
            await _set(scene, "default_transaction_read_only", "off")
            async with asyncio.timeout(3):  # promised: 1 s
                await run.until(Event.MESSAGE_COMPLETED)
    assert await scene.account() == Account(completed=1)


async def _set(scene: Scene, setting: str, value: str) -> None:
    database = await scene.db.fetchval("select current_database()")
    await scene.db.execute(f"alter database {database} set {setting} = '{value}'")
