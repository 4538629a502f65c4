"""What a database knows of itself among several, and where the messages of a route are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection


def name_of(connection: Connection) -> str | None:
    """The name of the database; None: it has none."""
    row = connection.execute(statement("client_database_name")).fetchone()
    return None if row is None else row["database_name"]
