"""Throw-away databases: a server for a whole test run, and a fresh copy of a migrated template for each test.

Works on any server it is given the address of; starts none.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from postmill.client.psycopg_connection import open_connection
from postmill.db.tools.migrate import migrate
from postmill.model.config.address import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

TEMPLATE = "postmill_testing_template"
_LOCK = 7_002
"""Key of the advisory lock that the process holds which makes the template; others wait. Any number does that
no other program on the test server uses.
"""


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The address of a new database with Postmill's schema. It is dropped afterwards."""
    name = f"test_{uuid4().hex[:12]}"
    with _connected(server_url) as connection:
        _make_template(connection, server_url)
        connection.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE)
            )
        )
    yield address_of(server_url, name)
    with _connected(server_url) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _connected(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return open_connection(parse(url), "postmill testing")


def address_of(server_url: str, database: str) -> str:
    """The same server's address with another database, as a URI."""
    current = conninfo_to_dict(server_url).get("dbname")
    return parse(server_url).url.replace(f"/{current}", f"/{database}", 1)


def _make_template(connection: psycopg.Connection[tuple[object, ...]], server_url: str) -> None:
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        known = connection.execute("select from pg_database where datname = %s and datistemplate", [TEMPLATE])
        if known.rowcount:
            return
        with _connected(server_url) as maker:
            maker.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(TEMPLATE)))
            maker.execute(sql.SQL("create database {}").format(sql.Identifier(TEMPLATE)))
            with _connected(address_of(server_url, TEMPLATE)) as template:
                migrate(template)
            maker.execute(sql.SQL("alter database {} is_template true").format(sql.Identifier(TEMPLATE)))
