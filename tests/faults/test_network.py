"""A network that delays, drops, falls silent and resets, between worker and server.

A half-open connection (nobody answers, nobody says so) is noticed within one visibility timeout.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from postmill import AsyncClient, Context
from postmill.db.hot import handler_session, statement_size
from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.maintain import heartbeat
from postmill.model.config.address import Address
from postmill.model.errors import DatabaseUnavailable
from postmill.model.events import Event
from tests.faults.account import Account
from tests.faults.handlers import WaitingHandler, handler
from tests.faults.proxy import proxied
from tests.faults.test_postgres import outages
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    from postmill.engine.settle.dead_letters import DeadLetter
    from tests.faults.proxy import Proxy
    from tests.faults.scene import Scene

LEASE_S = 3
_CLIENTS_SESSION = """
select pid from pg_stat_activity where datname = current_database() and application_name = 'postmill'
"""


async def test_connections_are_reset_again_and_again(scene: Scene) -> None:
    """Five times, with messages on the way in both directions."""
    async with proxied(scene.url) as proxy, running(proxy.url, handler(max_concurrent=5)) as run:
        for round_ in range(1, 6):
            await scene.send(20)
            await run.until(Event.MESSAGE_CLAIMED, count=round_)
            proxy.reset()
        await scene.until("select not exists (select from pgmq.q_tasks)")
        await scene.until("select not exists (select from postmill.claims)")
    account = await scene.account()
    assert (account.completed, account.lost, account.doubled, account.claims) == (100, 0, 0, 0)


async def test_a_slow_network_costs_nothing_but_time(scene: Scene) -> None:
    async with proxied(scene.url) as proxy, running(proxy.url, handler(max_concurrent=5)) as run:
        proxy.delay_s = 0.03
        await scene.send(20)
        await run.until(Event.MESSAGE_COMPLETED, count=20)
        assert outages(run) == (0, 0)
    assert await scene.account() == Account(completed=20)
    assert await scene.runs() == [1] * 20


async def test_a_large_statement_has_more_time_than_a_small_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An output of 40 MB was cut off after the time that a small statement may take, again and again."""
    monkeypatch.setattr(statement_size, "SLOWEST_BYTES_PER_S", 1)
    async with proxied(scene.url) as proxy:
        shared = SharedConnection(Address(proxy.url), "test", timeout_s=0.2)
        other = SharedConnection(Address(proxy.url), "test", timeout_s=0.2)
        large, text = "x" * 100, "select $1::text as given"
        for each in (shared, other):
            assert (await each.fetchrow(text, large))["given"] == large
        proxy.stall()
        patient = asyncio.create_task(shared.fetchrow(text, large))
        with pytest.raises(TimeoutError):
            await other.fetchrow(text, "")
        assert not patient.done()
        proxy.go_on()
        assert (await patient)["given"] == large
        for each in (shared, other):
            await each.close()


@pytest.mark.slow
@pytest.mark.parametrize("busy", [False, True])
async def test_a_half_open_connection_is_noticed_within_one_lease(scene: Scene, busy: bool) -> None:
    """By a worker at rest, and by one whose handlers finish while nobody answers."""
    waiting = WaitingHandler()
    worker = handler(waiting, visibility_timeout=LEASE_S)
    async with proxied(scene.url) as proxy, running(proxy.url, worker) as run:
        if busy:
            await scene.send()
            await waiting.until_waiting(1)
        proxy.mode = "silent"
        waiting.released.set()
        async with asyncio.timeout(LEASE_S):
            await run.until(Event.DATABASE_LOST)
        proxy.mode = "pass"
        await scene.send(1 if busy else 2)
        await scene.until("select count(*) = 2 from pgmq.a_tasks")
    account = await scene.account()
    assert (account.completed, account.lost, account.doubled, account.queued) == (2, 0, 0, 0)


@pytest.mark.parametrize("resting", [True, False], ids=["resting", "in use"])
async def test_no_handler_waits_for_ever_on_a_half_open_connection(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, resting: bool
) -> None:
    """One that has rested is tried before a handler gets it; one in use is given up when the attempt is."""
    monkeypatch.setattr(handler_session, "CHECK_AFTER_S", 0.0)
    monkeypatch.setattr(handler_session, "TIMEOUT_S", 0.2)
    first, forgotten = asyncio.Event(), asyncio.Event()

    async def twice(payload: object, ctx: Context) -> None:
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(ctx.db)
            await connection.fetchval("select 1")
            if resting:
                await stack.aclose()
            first.set()
            await forgotten.wait()
            if resting:
                connection = await stack.enter_async_context(ctx.db)
            await connection.fetchval("select 2")

    options = {"visibility_timeout": 1, "timeout": None if resting else 0.5}
    async with proxied(scene.url) as proxy:
        address = Address(proxy.url)
        async with running(scene.url, handler(twice, **options), address=address) as run:
            await scene.send()
            await first.wait()
            proxy.forget()
            forgotten.set()
            await run.until(Event.MESSAGE_COMPLETED)
    account = await scene.account()
    assert (account.completed, account.lost, account.doubled) == (1, 0, 0)
    assert account.failures == ({} if resting else {"timeout": 1})


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has TCP_USER_TIMEOUT")
async def test_a_statement_that_nobody_takes_ends_by_itself(scene: Scene) -> None:
    """It has no time limit, for it may take hours on the server: TCP tells that the peer is gone."""
    first, stuck = asyncio.Event(), asyncio.Event()

    async def large(payload: object, ctx: Context) -> None:
        async with ctx.db as connection:
            length = await connection.prepare("select length($1)")
            first.set()
            await stuck.wait()
            await length.fetchval("x" * 32_000_000)

    async with proxied(scene.url) as proxy:
        address = Address(f"{proxy.url}&tcp_user_timeout=500")
        async with running(scene.url, handler(large), address=address) as run:
            await scene.send()
            await first.wait()
            proxy.stick()
            stuck.set()
            await run.until(Event.MESSAGE_COMPLETED)
    account = await scene.account()
    assert (account.completed, account.lost, account.doubled, account.failures) == (
        1,
        0,
        0,
        {"lost_lease": 1},
    )


async def test_a_network_that_is_silent_for_longer_than_a_lease(scene: Scene) -> None:
    """Another worker, on a good network, takes over; the first one settles nothing afterwards."""
    waiting = WaitingHandler()
    async with proxied(scene.url) as proxy:
        async with running(proxy.url, handler(waiting, visibility_timeout=1)) as run:
            await scene.send()
            await waiting.until_waiting(1)
            proxy.mode = "silent"
            async with running(scene.url, handler()) as other:
                await other.until(Event.MESSAGE_COMPLETED)
            proxy.mode = "pass"
            waiting.released.set()
            await run.until(Event.DATABASE_BACK)
            await scene.until("select not exists (select from postmill.claims)")
        assert run.events(Event.MESSAGE_COMPLETED) == []
    account = await scene.account()
    assert (account.completed, account.lost, account.doubled, account.claims) == (1, 0, 0, 0)


async def test_the_answer_to_a_claim_is_lost(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim is committed, and its worker was never told: it gives the messages back by itself."""
    monkeypatch.setattr(heartbeat, "PERIOD_S", 0.2)
    async with proxied(scene.url) as proxy, running(proxy.url, handler(visibility_timeout=2)) as run:
        await scene.shut_gate("postmill.claims")
        await scene.send()
        await _answer_nothing_at_the_gate(scene, proxy)
        await run.until(Event.MESSAGE_COMPLETED)
        await scene.until("select not exists (select from postmill.claims)")
        await run.until_true(lambda: outages(run) == (1, 1))
    account = await scene.account()
    assert (account.completed, account.lost, account.doubled, account.claims) == (1, 0, 0, 0)
    assert await scene.runs() == [1]


async def test_the_answer_to_a_settlement_is_lost(scene: Scene) -> None:
    """It had landed: nobody runs the message again, and nobody reports it lost."""
    async with proxied(scene.url) as proxy, running(proxy.url, handler()) as run:
        await scene.shut_gate("pgmq.a_tasks")
        await scene.send()
        await _answer_nothing_at_the_gate(scene, proxy)
        await scene.send()
        await run.until(Event.MESSAGE_COMPLETED)
        await run.until_true(lambda: outages(run) == (1, 1))
        assert run.events(Event.LEASE_LOST) == []
    assert await scene.account() == Account(completed=2)
    assert await scene.runs() == [1, 1]


@pytest.mark.parametrize("sent", ["now", "infinity", "294000-01-01", "4700-01-01 BC"])
async def test_the_answer_to_a_dead_letter_is_lost(scene: Scene, sent: str) -> None:
    """It had landed: the hook is called all the same, and once. An older letter of the same id is not it.
    Other clients may write any time of sending.
    """
    letters: list[tuple[int, str]] = []
    if sent != "now":
        await scene.db.execute(f"alter table pgmq.q_tasks alter enqueued_at set default '{sent}'")
    await scene.db.execute(
        "insert into postmill.dead_letters"
        " (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)"
        " select 'tasks', n, 1, now() - interval '1 day', '{}', 1, 'error', 'older'"
        " from generate_series(1, 2) as n"
    )

    def hook(letter: DeadLetter) -> None:
        letters.append((letter.message.msg_id, letter.reason))

    async with proxied(scene.url) as proxy, running(proxy.url, handler(on_dead=hook)) as run:
        await scene.shut_gate("postmill.dead_letters")
        await scene.send(outcome="dead")
        await _answer_nothing_at_the_gate(scene, proxy)
        await scene.send(outcome="dead")
        await run.until(Event.MESSAGE_DEAD, count=2)
        assert run.events(Event.LEASE_LOST) == []
    assert letters == [(1, "as told"), (2, "as told")]
    await scene.db.execute("delete from postmill.dead_letters where reason = 'older'")
    assert (await scene.account()).dead == 2


async def test_a_clients_session_is_ended_and_its_connection_is_not_seen_to_end(scene: Scene) -> None:
    """As a moment before a failover closes it. The client was given an error of its driver's insides, and so
    for as long as the connection seemed to be open.
    """
    async with proxied(scene.url) as proxy, AsyncClient(proxy.url) as client:
        await client.send("tasks", 1)
        proxy.holds_ends = True
        await scene.end_session(await scene.db.fetchval(_CLIENTS_SESSION))
        with pytest.raises(DatabaseUnavailable):
            await _send_until_refused(client)
        proxy.holds_ends = False
        assert await client.send("tasks", 3)


async def _send_until_refused(client: AsyncClient) -> None:
    """The server's last words may still be on their way."""
    async with asyncio.timeout(GIVE_UP_S):
        while True:
            await client.send("tasks", 2)


async def _answer_nothing_at_the_gate(scene: Scene, proxy: Proxy) -> None:
    """The statement that waits there commits, and its connection is cut before the answer gets through."""
    await scene.at_the_gate()
    proxy.mode = "silent"
    await scene.open_gate()
    proxy.reset()
    proxy.mode = "pass"
