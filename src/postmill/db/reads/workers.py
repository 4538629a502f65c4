"""Worker processes, while they are on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]


def listed(connection: Connection, *, everyone: bool, limit: int) -> list[Row]:
    """Workers that are alive; with ``everyone`` also those that stopped or are silent."""
    return connection.execute(statement("read_workers"), (everyone, limit)).fetchall()
