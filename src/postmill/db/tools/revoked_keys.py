"""Keys that were issued to people and programs, and taken back before they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection


def revoke(connection: Connection, subject: str, now_s: float) -> None:
    """Revoke the key with this id, or all that were issued to this name until ``now_s`` (seconds since 1970,
    by the clock that keys are issued by) or the server's now, whichever is later.
    """
    connection.execute(statement("revoke_key"), (subject, now_s))


def is_revoked(connection: Connection, key_id: str, name: str, issued_s: float) -> bool:
    """Whether the key with this id, issued to this name at this time, is revoked."""
    (row,) = connection.execute(statement("read_revoked"), (key_id, name, issued_s)).fetchall()
    return bool(row["revoked"])
