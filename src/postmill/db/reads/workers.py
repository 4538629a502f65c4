"""Worker processes, while they are on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]


def listed(
    connection: Connection, *, everyone: bool, limit: int, behind: tuple[datetime, UUID] | None = None
) -> list[Row]:
    """Workers that are alive; with ``everyone`` also those that stopped or are silent. ``behind``: when the
    last of the page before was started, and its id.
    """
    asked = (everyone, limit, *(behind or (None, None)))
    return connection.execute(statement("read_workers"), asked).fetchall()
