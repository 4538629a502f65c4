"""TCP is there on request only, on 127.0.0.1, and asks for the password that a private file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from postmill import embedded
from postmill.model.errors import EmbeddedError
from tests.embedded.processes import ask, ask_asyncpg

if TYPE_CHECKING:
    from pathlib import Path


async def test_both_drivers_log_in_with_the_password(project: Path) -> None:
    with embedded.open_server(project, tcp=True) as server:
        assert server.tcp_url
        assert ask(server.tcp_url, "SELECT inet_server_addr()::text") == "127.0.0.1/32"
        assert await ask_asyncpg(server.tcp_url) == 1
        assert ask(server.url, "SHOW listen_addresses") == "127.0.0.1"


def test_a_wrong_password_is_refused(project: Path) -> None:
    with embedded.open_server(project, tcp=True) as server:
        assert server.tcp_url
        password = (project / "password").read_text().strip()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            ask(server.tcp_url.replace(password, "guess"))


def test_only_the_owner_reads_the_password(project: Path) -> None:
    with embedded.open_server(project, tcp=True):
        for name in ("password", "server.json"):
            assert (project / name).stat().st_mode & 0o077 == 0


def test_a_server_without_tcp_is_not_passed_off_as_one_with(project: Path) -> None:
    with embedded.open_server(project) as server:
        assert server.tcp_url is None
        with pytest.raises(EmbeddedError, match="without TCP"):
            embedded.open_server(project, tcp=True)
