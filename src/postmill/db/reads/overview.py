"""Queues as they stand: the first thing that is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]


def queues(connection: Connection, queue: str | None = None, *, exactly: bool = False) -> list[Row]:
    """Every queue with its counts, or ``queue`` only: the database refuses one that is not there. Counts of
    large queues are estimates (``exact`` is false) unless ``exactly``, which takes 0.1 s a million messages.
    """
    return connection.execute(statement("read_queues"), (queue, exactly)).fetchall()


def with_counters(connection: Connection) -> list[Row]:
    """Every queue with its counts, and how many messages were sent to it and have left it so far."""
    return connection.execute(statement("read_top_queues")).fetchall()
