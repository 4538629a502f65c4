"""Operations: what is done to many messages at once, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.model.errors import NotFound
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]


def listed(connection: Connection, *, limit: int, unfinished: bool, before: int | None = None) -> list[Row]:
    """Operations, the newest first, with ids below ``before``; with ``unfinished`` only those that have not
    ended.
    """
    return connection.execute(statement("read_operations"), (limit, unfinished, before)).fetchall()


def one(connection: Connection, operation_id: int) -> Row:
    """How one stands. Raises :class:`NotFound`."""
    row = connection.execute(statement("read_operation"), (operation_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no operation {operation_id}.", hint="postmill operation list")
    return row


def outcomes(
    connection: Connection, operation_id: int, outcome: str | None, limit: int, *, after: int = 0
) -> list[Row]:
    """What became of each message or letter, by id, of those above ``after``; with ``outcome`` only of those
    it happened to.
    """
    given = (operation_id, outcome, limit, after)
    return connection.execute(statement("read_operation_rows"), given).fetchall()
