"""Variables that libpq reads are meant for other servers: the project's own is reached without them."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import psycopg
import pytest

from postmill import worker
from postmill.cli.commands.db import _run_psql
from postmill.client import AsyncClient, Client, asyncpg_connection, libpq_environment
from postmill.db.tools.connect import connect
from postmill.model.config.address import is_embedded, parse
from postmill.testing import drain, lose_lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Cli

HARMFUL = {
    "PGSERVICE": "no_such_service",
    "PGSERVICEFILE": "/nowhere",
    "PGHOSTADDR": "192.0.2.1",
    "PGOPTIONS": "-c no_such_setting=1",
    "PGCLIENTENCODING": "LATIN1",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGREQUIREPEER": "no_such_user",
    "PGCHANNELBINDING": "require",
    "PGGSSENCMODE": "require",
    "PGSSLMODE": "nonsense",
    "PGSSLNEGOTIATION": "nonsense",
    "PGTARGETSESSIONATTRS": "standby",
    "PGTZ": "Asia/Tokyo",
}


@pytest.fixture
def harmful(database_url: str) -> Iterator[str]:
    """An address of an embedded server, with every variable set that could keep us from it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in HARMFUL.items():
            patch.setenv(name, value)
        with pytest.raises(psycopg.Error):
            psycopg.connect(database_url)
        yield database_url


def test_commands_and_clients_reach_the_embedded_server(harmful: str, cli: Cli) -> None:
    assert cli("queue", "create", "tasks").code == 0
    with Client(harmful) as client:
        client.send("tasks", {"city": "Zürich"})
    with connect(parse(harmful)) as connection:
        found = connection.execute("select current_setting('client_encoding') as encoding").fetchone()
        assert found == {"encoding": "UTF8"}
    asyncio.run(_send(harmful))
    assert len(cli("message", "list", "tasks", "--json").json) == 2
    assert _run_psql(harmful, ["-c", "select 1"]) == 0


async def _send(url: str) -> None:
    connection = await asyncpg_connection.connect(url)
    await connection.close()
    async with AsyncClient(url) as client:
        await client.send("tasks", {"city": "Köln"})


def test_the_callers_own_connections_still_have_them(harmful: str) -> None:
    with libpq_environment.ignored(harmful):
        assert "PGSERVICE" not in os.environ
    assert {name: os.environ[name] for name in HARMFUL} == HARMFUL
    with libpq_environment.ignored("postgresql://postgres@db.example.com/app"):
        assert os.environ["PGSERVICE"] == HARMFUL["PGSERVICE"]


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("postgresql://postgres@/postmill?host=/srv/shop/.postmill/socket&port=5432", True),
        ("postgresql://postgres@/test_1?host=/tmp/postmill-x1y2&port=5432", True),
        ("postgresql://postgres@/postmill?host=/var/run/postgresql&port=5432", False),
        ("postgresql://app@/postmill?host=/srv/shop/.postmill/socket", False),
        ("postgresql://postgres@socket/postmill", False),
        ("postgresql://postgres:secret@127.0.0.1:5432/postmill", False),
        ("", False),
    ],
)
def test_an_embedded_server_is_known_by_its_address(url: str, ours: bool) -> None:
    assert is_embedded(url) is ours


async def test_testing_helpers_reach_it_too(harmful: str) -> None:
    @worker(queue="tasks")
    async def handle(_: int) -> None: ...

    with connect(parse(harmful)) as connection:
        connection.execute("select postmill.create_queue('tasks')")
    async with AsyncClient(harmful) as client:
        await client.send("tasks", 1)
    account = await drain(handle, database=harmful, faults=[lose_lease()])
    assert len(account.attempts) == 2
