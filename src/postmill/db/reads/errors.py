"""Errors that are alike: failed attempts that have one fingerprint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.model.errors import NotFound
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from datetime import datetime

    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]
SHOWN = 5
"""Failed attempts that are shown of one error: they are alike, and five differ in what differs."""


def listed(
    connection: Connection,
    queue: str | None,
    *,
    limit: int,
    unsettled: bool,
    behind: tuple[datetime, str] | None = None,
) -> list[Row]:
    """Errors, the one seen last first; with ``unsettled`` only those that are open. ``behind``: when the last
    of the page before was seen last, and its fingerprint.
    """
    asked = (None, queue, unsettled, limit, *(behind or (None, None)))
    return connection.execute(statement("read_errors"), asked).fetchall()


def one(connection: Connection, fingerprint: str) -> Row:
    """One error, with its latest ``failures``, and ``last_30_days``: how many there were in each 24 hours,
    the oldest first, also where the attempts are deleted. Raises :class:`NotFound`.
    """
    row = connection.execute(statement("read_errors"), (fingerprint, None, False, 1, None, None)).fetchone()
    if row is None:
        raise NotFound(f"There is no error {fingerprint}.", hint="postmill error list")
    latest = connection.execute(statement("read_error_failures"), (fingerprint, SHOWN)).fetchall()
    days = connection.execute(statement("read_error_days"), (fingerprint,)).fetchall()
    return row | {
        "failures": latest[::-1],
        "times": row["failures"],
        "last_30_days": [int(day["failures"]) for day in days],
    }


def queues(connection: Connection, fingerprint: str) -> list[str]:
    """Every queue in which it was seen and that is there, by name; a list of errors knows the queues of its
    last failures. Raises :class:`NotFound`.
    """
    rows = connection.execute(statement("read_error_queues"), (fingerprint,)).fetchall()
    if not rows:
        one(connection, fingerprint)  # refuses one that is not there
    return [row["queue_name"] for row in rows]
