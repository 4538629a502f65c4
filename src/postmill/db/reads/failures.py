"""Failed attempts, while they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]


def of_message(connection: Connection, queue: str, msg_id: int) -> list[Row]:
    """The recorded failures of a message, oldest first."""
    return connection.execute(statement("read_failures"), (queue, msg_id)).fetchall()


def latest(connection: Connection, *, limit: int) -> list[Row]:
    """The latest failed attempts of all queues, newest first."""
    return connection.execute(statement("read_top_failures"), (limit,)).fetchall()
