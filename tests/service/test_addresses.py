"""Addresses on a real server: both drivers take libpq's parameters, and find the host that takes writes."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import psycopg
import pytest

from postmill import AsyncClient, Client
from postmill.client.asyncpg_connection import connect, is_behind_pooler
from postmill.client.psycopg_connection import open_connection
from postmill.db.hot.outage import is_passing
from postmill.model.config.address import parse
from postmill.model.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.rows import DictRow

LIBPQS = (
    "keepalives=1&keepalives_idle=30&tcp_user_timeout=1000&channel_binding=prefer&gssencmode=disable"
    "&connect_timeout=7&client_encoding=utf8&load_balance_hosts=disable&sslmode=prefer&application_name=shop"
    "&options=-csearch_path%3Dpgmq"
)


@pytest.mark.parametrize(
    ("asked", "idle", "user_timeout"),
    [("", "15", "30000"), ("&keepalives_idle=60&tcp_user_timeout=900", "60", "900")],
)
def test_tools_and_the_sync_client_notice_a_server_that_is_gone(
    database_url: str, asked: str, idle: str, user_timeout: str
) -> None:
    """libpq itself leaves it to the system: a command on a lost connection would hang for two hours."""
    with open_connection(parse(f"{database_url}{asked}"), "test") as connection:
        given = connection.info.get_parameters()
    assert (given["keepalives_idle"], given["tcp_user_timeout"]) == (idle, user_timeout)


@contextmanager
def silent_host() -> Iterator[str]:
    """A host that takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield "127.0.0.1:{1}".format(*server.getsockname())


def with_hosts(url: str, *before: str) -> str:
    """The address with other hosts, ``name:port``, before its own."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    hosts = [host.rpartition(":")[0] for host in before] + [query["host"]]
    ports = [host.rpartition(":")[2] for host in before] + [query.get("port", "5432")]
    return f"{url.partition('?')[0]}?host={','.join(hosts)}&port={','.join(ports)}"


async def test_libpqs_parameters_mean_the_same_to_both_drivers(database_url: str) -> None:
    url = parse(f"{database_url}&{LIBPQS}").url
    asked = "select current_setting('application_name'), current_setting('search_path')"
    connection = await connect(url, server_settings={"application_name": "ours"})
    try:
        assert await connection.fetchrow(asked) == ("shop", "pgmq")
        assert not await is_behind_pooler(connection)
    finally:
        await connection.close()
    with psycopg.connect(url) as other:
        assert other.execute(asked.encode()).fetchone() == ("shop", "pgmq")


async def test_a_host_that_never_answers_leaves_time_for_the_next(database_url: str) -> None:
    """asyncpg's own limit is for all hosts together: the second was never tried."""
    with silent_host() as silent:
        url = parse(with_hosts(database_url, silent) + "&connect_timeout=1&sslmode=disable").url
        connection = await connect(url, timeout=1)
        await connection.close()


async def test_a_host_that_takes_no_writes_is_no_primary(
    database_url: str, db: psycopg.Connection[DictRow]
) -> None:
    name = db.info.dbname
    folder = parse_qs(urlsplit(database_url).query)["host"][0]
    url = with_hosts(database_url, f"{folder}:{parse_qs(urlsplit(database_url).query)['port'][0]}")
    db.execute(f'alter database "{name}" set default_transaction_read_only = on'.encode())
    with pytest.raises(asyncpg.TargetServerAttributeNotMatched) as raised:
        await connect(parse(url).url)
    assert is_passing(raised.value)
    async with AsyncClient(url) as client:
        with pytest.raises(DatabaseUnavailable):
            await client.send("tasks", 1)
    with Client(url) as sync_client, pytest.raises(DatabaseUnavailable):
        sync_client.send("tasks", 1)
    db.execute(f'alter database "{name}" reset default_transaction_read_only'.encode())
    async with AsyncClient(url) as client:
        await client.create_queue("tasks")
        assert await client.send("tasks", 1) == 1


@contextmanager
def counting_silent_host() -> Iterator[tuple[str, list[socket.socket]]]:
    """A host that takes connections and never answers, and what it took."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            with suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        taking = threading.Thread(target=take, daemon=True)
        taking.start()
        yield "127.0.0.1:{1}".format(*server.getsockname()), taken
        server.shutdown(socket.SHUT_RDWR)
        taking.join()
        for connection in taken:
            connection.close()


async def test_a_dead_first_host_costs_one_connection_and_no_more(database_url: str) -> None:
    """Every connection waited 5 s for it, again and again: the last good host comes first now."""
    with counting_silent_host() as (silent, taken):
        url = parse(with_hosts(database_url, silent) + "&sslmode=disable").url
        opened = [await connect(url, timeout=60) for _ in range(5)]
        assert [await one.fetchval("select 1") for one in opened] == [1] * 5
        for one in opened:
            await one.close()
    assert len(taken) == 1


async def test_a_host_that_answers_late_is_given_up(database_url: str) -> None:
    """Both let us in; the second connection must not be left open."""
    name = f"staggered {uuid4().hex[:8]}"
    folder = parse_qs(urlsplit(database_url).query)["host"][0]
    port = parse_qs(urlsplit(database_url).query)["port"][0]
    url = parse(with_hosts(database_url, f"{folder}:{port}")).url
    together = await asyncio.gather(
        *(connect(url, server_settings={"application_name": name}) for _ in range(4))
    )
    sessions = "select count(*) from pg_stat_activity where application_name = $1"
    assert await together[0].fetchval(sessions, name) == 4
    for one in together:
        await one.close()


async def test_a_refused_login_is_final_with_several_hosts(database_url: str) -> None:
    """As in libpq: another host is no way round a wrong name."""
    folder = parse_qs(urlsplit(database_url).query)["host"][0]
    port = parse_qs(urlsplit(database_url).query)["port"][0]
    url = with_hosts(database_url, f"{folder}:{port}").replace("?", "_nowhere?", 1)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await connect(parse(url).url)
