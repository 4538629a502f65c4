"""A database whose encoding is none (SQL_ASCII), or not UTF-8: commands and clients read and write text."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from postmill import Client
from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server
    from tests.acceptance.conftest import Cli


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def encoded(request: pytest.FixtureRequest, shared_server: Server) -> Iterator[str]:
    """The address of an empty database in that encoding."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(shared_server.url, autocommit=True) as connection:
        connection.execute(
            f"create database {name} template template0 encoding '{request.param}'"
            " locale_provider libc locale 'C'"
        )
        yield servers.named(shared_server.url, name)
        connection.execute(f"drop database {name} with (force)")


def test_commands_and_clients_work_in_any_encoding(
    encoded: str, cli_without_database: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTMILL_DB_URL", encoded)
    cli = cli_without_database
    for arguments in (["migrate"], ["migrate"], ["queue", "create", "tasks"], ["send", "tasks", '"Zürich"']):
        assert cli(*arguments).code == 0
    with Client(encoded) as client:
        client.send("tasks", "Zürich")
    found = cli("message", "list", "tasks", "--json").json
    assert [message["message"] for message in found] == ["Zürich", "Zürich"]
