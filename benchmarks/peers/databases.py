"""A server for all peers, and a fresh database for every measurement."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from postmill.embedded import open_server

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = {"max_connections": "300"}
"""The crashes of all peers are waited for at once."""


@contextmanager
def embedded() -> Iterator[str]:
    """The address of a durable embedded server in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="postmill-peers-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        with open_server(Path(folder) / "server", settings=SETTINGS) as server:
            yield server.url


@contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """A new, empty database; dropped afterwards."""
    made = sql.SQL("create database {}").format(sql.Identifier(name))
    dropped = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(dropped)
        connection.execute(made)
        try:
            yield named(server, name)
        finally:
            connection.execute(dropped)


def named(url: str, database: str) -> str:
    """The same server's address with another database."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()
