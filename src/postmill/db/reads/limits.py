"""What a queue allows: the limits of it and of its groups, and how long it keeps what is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]


def of_queue(connection: Connection, queue: str) -> list[Row]:
    """The limits of the queue (``group_key`` is empty), of each of its groups (None), and of single ones."""
    return connection.execute(statement("read_limits"), (queue,)).fetchall()


def held_up(connection: Connection, *, limit: int) -> list[Row]:
    """Groups whose messages wait for a limit, of every queue; the group '' is the whole queue."""
    return connection.execute(statement("read_held_up"), (limit,)).fetchall()


def retention(connection: Connection, queue: str) -> Row:
    """How long the queue keeps its archive and its history, in seconds: ``archive_s`` and ``history_s``; None
    for ever. ``archive_max_rows``: how many messages its archive keeps; None is any number.
    """
    row = connection.execute(statement("read_retention"), (queue,)).fetchone()
    return row or {}
