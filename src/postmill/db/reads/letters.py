"""Dead letters: messages that will not run again until they are replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.db.reads import failures
from postmill.model.errors import NotFound
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]


def listed(
    connection: Connection, queue: str | None, *, limit: int, replayed: bool, before: int | None = None
) -> list[Row]:
    """Dead letters, the latest first, with ids below ``before``; with ``replayed`` also those that were put
    back.
    """
    return connection.execute(statement("read_dead_letters"), (queue, limit, replayed, before)).fetchall()


def one(connection: Connection, letter_id: int) -> Row:
    """One dead letter with the ``failures`` of its message. Raises :class:`NotFound`."""
    found = connection.execute(statement("read_dead_letter"), (letter_id,)).fetchone()
    if found is None:
        raise NotFound(f"There is no dead letter {letter_id}.", hint="postmill dead list")
    return found | {"failures": failures.of_message(connection, found["queue"], found["msg_id"])}


def count_waiting(connection: Connection, queue: str, letter_ids: list[int]) -> int:
    """How many of these letters of ``queue`` wait to be replayed."""
    row = connection.execute(statement("read_dead_letter_count"), (queue, letter_ids)).fetchone()
    return int(row["letters"]) if row else 0


def check_all_wait(queue: str, chosen: list[int], count: int, done: str) -> None:
    """Raise :class:`NotFound` when one of the ids ``chosen`` is not among the ``count`` letters that wait:
    nothing is ``done`` then.
    """
    if count < len(chosen):
        raise NotFound(
            f"{len(chosen) - count} of these {len(chosen)} letters can't be {done}; none was.",
            why=f"They are not dead letters of queue {queue}, or were replayed already.",
            hint=f"postmill dead list {queue}",
        )
