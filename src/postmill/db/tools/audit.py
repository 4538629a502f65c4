"""What is written down of an action, in its transaction: who did it, and the answer to a request that may
come again. Checks no right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.db.tools.connect import Connection


class Entry(NamedTuple):
    """A row of the audit."""

    viewer: str
    role: str
    source: str
    action: str
    target: Mapping[str, Any]
    affected: int | None


class Answered(NamedTuple):
    """A request that was answered before: a digest of it, and the answer in JSON."""

    request: str
    answer: bytes


def note(connection: Connection, entry: Entry) -> None:
    """Write it down."""
    target = msgspec.json.encode(entry.target).decode()
    connection.execute(statement("audit_note"), (*entry[:4], target, entry.affected))


def claim_key(connection: Connection, viewer: str, key: str, request: str) -> Answered | None:
    """Take a key for a request, whose answer must be kept in the same transaction. When it is taken, what it
    was taken for; waits while that is under way.
    """
    while True:
        if connection.execute(statement("idempotency_claim"), (viewer, key, request)).fetchone():
            return None
        found = connection.execute(statement("idempotency_read"), (viewer, key)).fetchone()
        if found is not None:  # else it was deleted in between: it is old
            return Answered(found["request"], (found["answer"] or "null").encode())


def keep_answer(connection: Connection, viewer: str, key: str, answer: bytes) -> None:
    """Keep the answer to the request that has taken the key."""
    connection.execute(statement("idempotency_keep"), (viewer, key, answer.decode()))
