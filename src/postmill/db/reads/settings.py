"""How a database is set up for Postmill: the server, what is installed, roles, retention."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg

from postmill.db.reads.findings import of
from postmill.db.tools import checks, migrate, privileges
from postmill.model.errors import PostmillError
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address
    from postmill.model.finding import Finding

Row: TypeAlias = dict[str, Any]

CHECKS: dict[str, checks.Check] = {
    "version": checks.version,
    "pgmq": checks.queue_tables,
    "schema": checks.schema,
    "privileges": privileges.checked,
}
"""Those of ``postmill doctor`` that are about how a database is set up, and change nothing."""


def server(connection: Connection) -> Row:
    """The server and this login."""
    (row,) = connection.execute(statement("read_server")).fetchall()
    return row


def checked(connection: Connection, address: Address) -> list[Finding]:
    """What ``postmill doctor`` finds about versions and rights."""
    return of(CHECKS, connection, address)


def installed(connection: Connection) -> list[Row]:
    """Each part that can be installed: ``part``, ``state``, ``detail``; none when the login may not look."""
    with suppress(PostmillError), connection.transaction():
        return [dict(row) for row in migrate.state(connection)]
    return []


def roles(connection: Connection) -> list[Row]:
    """Roles that this database uses: ``name``, and ``is_own`` where this login has it."""
    return connection.execute(statement("check_roles")).fetchall()


def retentions(connection: Connection, *, limit: int) -> list[Row]:
    """Rules by which queues keep what is done, those that most queues have first; none when the login may not
    look.
    """
    with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
        return connection.execute(statement("read_retentions"), (limit,)).fetchall()
    return []
