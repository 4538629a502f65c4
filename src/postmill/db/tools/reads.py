"""What the command line shows, read from the database. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.model.errors import NotFound
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]


def queues(connection: Connection, queue: str | None = None, *, exactly: bool = False) -> list[Row]:
    """Every queue with its counts, or ``queue`` only: the database refuses one that is not there. Counts of
    large queues are estimates (``exact`` is false) unless ``exactly``, which takes 0.1 s a million messages.
    """
    return connection.execute(statement("read_queues"), (queue, exactly)).fetchall()


def workers(connection: Connection, *, everyone: bool, limit: int) -> list[Row]:
    """Workers that are alive; with ``everyone`` also those that stopped or are silent."""
    return connection.execute(statement("read_workers"), (everyone, limit)).fetchall()


def messages(
    connection: Connection, queue: str, *, state: str | None, limit: int, before: int | None
) -> list[Row]:
    """Messages of ``queue``, newest first: of one ``state`` or of all, with ids below ``before``."""
    return connection.execute(statement("read_messages"), (queue, state, limit, before)).fetchall()


def message(connection: Connection, queue: str, msg_id: int) -> Row:
    """One message with its failures, wherever it is by now. Raises :class:`NotFound`."""
    found = connection.execute(statement("read_message"), (queue, msg_id)).fetchone()
    if found is None:
        raise NotFound(
            f"There is no message {msg_id} in queue {queue}.",
            why="It was never sent, was deleted, or its archive row has been pruned.",
            hint=f"postmill message list {queue}",
        )
    return found | {"failures": failures(connection, queue, msg_id)}


def failures(connection: Connection, queue: str, msg_id: int) -> list[Row]:
    """The recorded failures of a message, oldest first."""
    return connection.execute(statement("read_failures"), (queue, msg_id)).fetchall()


def top_queues(connection: Connection) -> list[Row]:
    """Every queue with its counts, and how many messages were sent to it and have left it so far."""
    return connection.execute(statement("read_top_queues")).fetchall()


def held_up(connection: Connection, *, limit: int) -> list[Row]:
    """Groups whose messages wait for a limit, of every queue; the group '' is the whole queue."""
    return connection.execute(statement("read_held_up"), (limit,)).fetchall()


def latest_failures(connection: Connection, *, limit: int) -> list[Row]:
    """The latest failed attempts of all queues, newest first."""
    return connection.execute(statement("read_top_failures"), (limit,)).fetchall()


def dead_letters(connection: Connection, queue: str | None, *, limit: int, replayed: bool) -> list[Row]:
    """Dead letters, the latest first; with ``replayed`` also those that were put back."""
    return connection.execute(statement("read_dead_letters"), (queue, limit, replayed)).fetchall()


def dead_letter(connection: Connection, letter_id: int) -> Row:
    """One dead letter with the failures of its message. Raises :class:`NotFound`."""
    found = connection.execute(statement("read_dead_letter"), (letter_id,)).fetchone()
    if found is None:
        raise NotFound(f"There is no dead letter {letter_id}.", hint="postmill dead list")
    return found | {"failures": failures(connection, found["queue"], found["msg_id"])}


def waiting_letters(connection: Connection, queue: str, letter_ids: list[int]) -> int:
    """How many of these letters of ``queue`` wait to be replayed."""
    row = connection.execute(statement("read_dead_letter_count"), (queue, letter_ids)).fetchone()
    return int(row["letters"]) if row else 0


def retention(connection: Connection, queue: str) -> Row:
    """How long the queue keeps its archive and its history, in seconds: ``archive_s`` and ``history_s``; None
    for ever. ``archive_max_rows``: how many messages its archive keeps; None is any number.
    """
    row = connection.execute(statement("read_retention"), (queue,)).fetchone()
    return row or {}


def limits(connection: Connection, queue: str) -> list[Row]:
    """The limits of the queue (``group_key`` is empty), of each of its groups (None), and of single ones."""
    return connection.execute(statement("read_limits"), (queue,)).fetchall()
