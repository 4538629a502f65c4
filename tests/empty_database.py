"""Databases without our schema, for tests that install it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psycopg.rows import DictRow

    from postmill.embedded import Server


@pytest.fixture
def empty_url(shared_server: Server) -> Iterator[str]:
    """The address of an empty database that only this test uses."""
    with servers.cloned_database(shared_server.url, "template0") as url:
        yield url


@pytest.fixture
def connect(empty_url: str) -> Iterator[Callable[[], psycopg.Connection[DictRow]]]:
    """Sessions on the empty database."""
    opened: list[psycopg.Connection[DictRow]] = []

    def session() -> psycopg.Connection[DictRow]:
        opened.append(
            psycopg.connect(
                empty_url, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor
            )
        )
        return opened[-1]

    yield session
    for each in opened:
        each.close()


@pytest.fixture
def empty(connect: Callable[[], psycopg.Connection[DictRow]]) -> psycopg.Connection[DictRow]:
    """A session on the empty database."""
    return connect()


@pytest.fixture
def owner(
    empty: psycopg.Connection[DictRow], connect: Callable[[], psycopg.Connection[DictRow]]
) -> Iterator[psycopg.Connection[DictRow]]:
    """A session of a role that owns the empty database and has no other right."""
    role = f"owner_{uuid4().hex[:12]}"
    empty.execute(f"create role {role}; alter database {empty.info.dbname} owner to {role}".encode())
    session = connect()
    session.execute(f"set session authorization {role}".encode())
    yield session
    session.close()
    empty.execute(
        f"alter database {empty.info.dbname} owner to current_user; "
        f"reassign owned by {role} to current_user; drop owned by {role}; drop role {role}".encode()
    )
