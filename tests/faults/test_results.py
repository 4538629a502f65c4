"""Waiting for results while the connection, the server or a pooler is in the way."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from postmill import AsyncClient, Client
from postmill.client import waiting
from postmill.model.errors import DatabaseUnavailable
from tests.faults.pooler import pooler
from tests.service.running import GIVE_UP_S

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tests.servers import PrivateServer


async def soon(result: Awaitable[Any]) -> Any:
    """A result that does not come is a failure: a time limit of the wait itself ends with a last look."""
    async with asyncio.timeout(GIVE_UP_S):
        return await result


def finish(url: str) -> None:
    """Every message of the queue completes, and nobody is told."""
    with psycopg.connect(url) as db:
        db.execute("insert into postmill.results select 'tasks', msg_id, message from pgmq.q_tasks")
        db.execute("delete from pgmq.q_tasks")


def tell(url: str) -> None:
    """As the settlement of a worker does."""
    with psycopg.connect(url) as db:
        db.execute("select postmill._tell_waiters('tasks', array(select msg_id from postmill.waiters))")


async def until(url: str, condition: str) -> None:
    connection = await asyncpg.connect(url)
    async with asyncio.timeout(GIVE_UP_S):
        while not await connection.fetchval(f"select {condition}"):  # noqa: ASYNC110 - nobody else says it
            await asyncio.sleep(0.01)
    await connection.close()


def create(url: str) -> None:
    with psycopg.connect(url) as db:
        db.execute("select postmill.create_queue('tasks')")


WAITS = "exists (select from postmill.waiters)"
LISTENS = "pid from pg_stat_activity where application_name = 'postmill results'"


@pytest.fixture
def seldom_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found was told, or looked for anew after a cut."""
    for pause in ("POLL_S", "FIRST_POLL_S"):
        monkeypatch.setattr(waiting, pause, 3600.0)


async def test_an_end_that_nobody_tells_is_polled_for(database_url: str) -> None:
    """Notifications may be lost; and another client's archive tells no waiter."""
    create(database_url)
    async with AsyncClient(database_url) as client:
        result = asyncio.create_task(client.result(await client.send("tasks", 7)))
        await until(database_url, WAITS)
        await asyncio.to_thread(finish, database_url)
        assert await soon(result) == 7


@pytest.mark.usefixtures("seldom_polls")
async def test_a_cut_connection_is_opened_again_and_everything_is_looked_at(database_url: str) -> None:
    """The end fell into the gap: no notification of it is to come."""
    create(database_url)
    async with AsyncClient(database_url) as client:
        ended, other = await client.send_many("tasks", [7, 8])
        results = [asyncio.create_task(client.result(ref)) for ref in (ended, other)]
        await until(database_url, "(select count(*) = 2 from postmill.waiters)")
        with psycopg.connect(database_url, autocommit=True) as db:
            db.execute("insert into postmill.results values ('tasks', %s, '7')", [ended])
            db.execute("delete from pgmq.q_tasks where msg_id = %s", [ended])
            db.execute(f"select pg_terminate_backend(pid) from (select {LISTENS}) as it".encode())
        assert await soon(results[0]) == 7
        await until(database_url, f"exists (select {LISTENS})")
        await asyncio.to_thread(finish, database_url)
        await asyncio.to_thread(tell, database_url)
        assert await soon(results[1]) == 8


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_restart_of_the_server_is_waited_out(
    server: PrivateServer, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash the list of waiters is empty: each client writes its rows again."""
    create(server.url)
    async with AsyncClient(server.url) as client:
        result = asyncio.create_task(client.result(await client.send("tasks", 7)))
        await until(server.url, WAITS)
        for pause in ("POLL_S", "FIRST_POLL_S"):
            monkeypatch.setattr(waiting, pause, 3600.0)
        await asyncio.to_thread(server.restart, mode)
        await until(server.url, f"{WAITS} and exists (select {LISTENS})")
        assert not result.done()
        await asyncio.to_thread(finish, server.url)
        await asyncio.to_thread(tell, server.url)
        assert await soon(result) == 7


async def test_a_server_that_stays_away_ends_the_wait(
    server: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "OUTAGE_S", 0.5)
    create(server.url)
    async with AsyncClient(server.url) as client:
        result = asyncio.create_task(client.result(await client.send("tasks", 7)))
        await until(server.url, WAITS)
        await asyncio.to_thread(server.stop, "immediate")
        with pytest.raises(DatabaseUnavailable):
            await soon(result)


async def test_a_server_that_was_never_reached_is_said_at_once() -> None:
    async with AsyncClient("postgresql://127.0.0.1:1/nothing?connect_timeout=2") as client:
        with pytest.raises(DatabaseUnavailable):
            await client.result(("tasks", 1))


async def test_behind_a_pooler_results_are_polled_for(server: PrivateServer) -> None:
    """A LISTEN would stay with a server session that other clients get; its notifications reach nobody."""
    create(server.url)
    with pooler(server.url) as pool:
        async with AsyncClient(pool.url) as client:
            sent = await client.send("tasks", 7)
            result = asyncio.create_task(client.result(sent))
            await until(server.url, "exists (select from pg_stat_activity where query like '%_outcomes%')")
            await asyncio.to_thread(finish, server.url)
            assert await soon(result) == 7
            async with asyncpg.create_pool(
                pool.url, min_size=1, max_size=3, statement_cache_size=0
            ) as theirs:
                assert await AsyncClient(theirs).result(sent, timeout=GIVE_UP_S) == 7
        with Client(pool.url) as client:
            other = client.send("tasks", 8)
            later = threading.Timer(0.1, finish, (server.url,))
            later.start()
            assert await asyncio.to_thread(client.result, other, timeout=GIVE_UP_S) == 8
            later.join()
        with psycopg.connect(server.url) as db:
            assert db.execute("select from postmill.waiters").fetchall() == []
            assert db.execute(f"select {LISTENS}".encode()).fetchall() == []
