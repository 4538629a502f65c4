"""Messages, wherever they are by now: in their queue, done, dead or cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.db.reads import failures
from postmill.model.errors import NotFound
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]
DONE = frozenset({"completed", "dead", "cancelled"})
"""States of messages that have left their queue."""
NEIGHBOURS = 50
"""Sources and dependents that are listed of a message, each: more are counted in words by why it waits."""


def listed(
    connection: Connection, queue: str, *, state: str | None, limit: int, before: int | None
) -> list[Row]:
    """Messages of ``queue``, newest first: of one ``state`` or of all, with ids below ``before``."""
    return connection.execute(statement("read_messages"), (queue, state, limit, before)).fetchall()


def why(connection: Connection, queue: str, msg_id: int) -> list[Row]:
    """Why a message does not run at this moment, the cause that decides first: ``rank``, ``cause``, ``said``,
    ``until``, ``detail``. Of one that runs, or is in its queue no more, one row says where it is.
    """
    return connection.execute(statement("read_why"), (queue, msg_id)).fetchall()


def one(connection: Connection, queue: str, msg_id: int) -> Row:
    """One message with its ``failures``, ``why`` it does not run, its ``sources`` and ``dependents``,
    wherever it is by now. Raises :class:`NotFound`.
    """
    found = connection.execute(statement("read_message"), (queue, msg_id)).fetchone()
    if found is None:
        raise NotFound(
            f"There is no message {msg_id} in queue {queue}.",
            why="It was never sent, was deleted, or its archive row has been pruned.",
            hint=f"postmill message list {queue}",
        )
    beside = connection.execute(statement("read_neighbours"), (queue, msg_id, NEIGHBOURS)).fetchall()
    return found | {
        "sources": [each for each in beside if each["is_source"]],
        "dependents": [each for each in beside if not each["is_source"]],
        "why": [] if found["state"] in DONE else why(connection, queue, msg_id),
        "failures": failures.of_message(connection, queue, msg_id),
    }
