"""What the payloads of a queue look like, as its worker has said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.db.reads import overview
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection


def listed(connection: Connection, queue: str) -> list[dict[str, Any]]:
    """A row for the worker's default handler (task ''), and for each of its tasks; none when no worker has
    said so. The database refuses a queue that is not there.
    """
    overview.queues(connection, queue)
    return known(connection, queue)


def known(connection: Connection, queue: str) -> list[dict[str, Any]]:
    """The same of a queue that may not be there: no row then."""
    return connection.execute(statement("read_payload_types"), (queue,)).fetchall()
