"""What people and programs have done through the API and the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection


def listed(
    connection: Connection, *, limit: int, before: int | None = None, viewer: str | None = None
) -> list[dict[str, Any]]:
    """The last actions, newest first: of ``viewer`` or of all, with numbers below ``before``."""
    return connection.execute(statement("read_audit"), (limit, before, viewer)).fetchall()
