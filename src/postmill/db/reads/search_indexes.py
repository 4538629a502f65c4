"""The indexes by which searches find values in what is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection


def listed(connection: Connection, queue: str | None = None) -> list[dict[str, Any]]:
    """Those of a queue, or of all: two for each place. ``state``: built, building, unfinished or missing."""
    return connection.execute(statement("read_search_indexes"), (queue,)).fetchall()
