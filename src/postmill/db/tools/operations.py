"""An operator's actions on queues, messages and dead letters: thin calls of Postmill's SQL functions.

Errors are the database's; :func:`postmill.db.tools.connect.translated` turns them into Postmill's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from postmill.db.tools import pgmq
from postmill.model.errors import InvalidOption, NotFound
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from uuid import UUID

    from postmill.db.tools.connect import Connection


def create_queue(connection: Connection, queue: str) -> bool:
    """Creates the queue if it is missing; returns whether it was."""
    return bool(_one(connection, "queue_create", queue)["created"])


def check_queue(connection: Connection, queue: str) -> None:
    """The database refuses a queue that is not there, with the nearest name: a plain send has only the
    error of a missing table.
    """
    _one(connection, "queue_check", queue)


def drop_queue(connection: Connection, queue: str, *, force: bool) -> None:
    """Drops the queue and all that is kept about it; ``force`` also when dead letters are lost."""
    _one(connection, "queue_drop", queue, force)


def purge_queue(connection: Connection, queue: str) -> int:
    """Deletes the messages that are not running; returns how many."""
    return int(_one(connection, "queue_purge", queue)["purged"])


def pause(connection: Connection, queue: str, reason: str | None) -> None:
    """Stops workers from claiming; what runs goes on."""
    _one(connection, "queue_pause", queue, reason)


def resume(connection: Connection, queue: str) -> None:
    """Lets workers claim again."""
    _one(connection, "queue_resume", queue)


def cancel(connection: Connection, queue: str, msg_id: int) -> str:
    """``cancelled``, ``requested`` (it is running; its worker is told) or ``not found``."""
    return str(_one(connection, "message_cancel", queue, msg_id)["outcome"])


def replay(
    connection: Connection, queue: str, letter_ids: list[int], message: str | None
) -> list[dict[str, Any]]:
    """Puts the given letters back in one transaction; returns which became which message."""
    return connection.execute(statement("dead_replay"), (queue, letter_ids, message)).fetchall()


def discard(connection: Connection, queue: str, letter_ids: list[int]) -> int:
    """Deletes the given letters, those that were not replayed. Returns how many."""
    return int(_one(connection, "dead_discard", queue, letter_ids)["discarded"])


def retry(connection: Connection, queue: str, msg_id: int) -> str:
    """``ready``, ``replayed`` (it was dead), ``skipped`` (dead, and its unique key is taken), ``running``
    (nothing was done) or ``not found``.
    """
    return str(_one(connection, "message_retry", queue, msg_id)["outcome"])


def set_retention(
    connection: Connection, queue: str, retention_s: float | None, archive_max_rows: int | None
) -> None:
    """How long the queue keeps what is finished (None: for ever), and how many messages its archive keeps at
    most (None: any number).
    """
    _one(connection, "queue_retention", queue, retention_s, archive_max_rows)


def lost_by_retention(
    connection: Connection, queue: str, retention_s: float | None, archive_max_rows: int | None
) -> list[str]:
    """What the queue keeps now and would lose soon under that retention, in words; nothing in most cases."""
    shape = pgmq.shape(connection, queue)
    name = queue_statement("retention_loss", shape)
    row = connection.execute(name, (retention_s, archive_max_rows, queue)).fetchone() or {}
    words = {"archived": "archived messages", "history": "failures and results"}
    return [told for what, told in words.items() if row[what]]


def drain_worker(connection: Connection, worker: str) -> UUID:
    """Asks the worker whose id begins with ``worker`` to finish what it runs and stop. Raises what
    :func:`the_one` raises.
    """
    found = the_one(workers_called(connection, worker), worker)
    worker_id: UUID = found["worker_id"]
    _one(connection, "worker_drain", worker_id)
    return worker_id


def workers_called(connection: Connection, worker: str) -> list[dict[str, Any]]:
    """The ``worker_id`` of those whose id begins with ``worker``, of two at most: they say that there are
    several. Raises :class:`InvalidOption` when that is nothing.
    """
    if not worker:
        raise InvalidOption(
            "No id is given.", why="Every id begins with nothing.", hint="postmill worker list shows them."
        )
    return connection.execute(statement("worker_find"), (worker,)).fetchall()


def the_one(found: list[dict[str, Any]], worker: str) -> dict[str, Any]:
    """The one worker whose id begins with ``worker``. Raises :class:`NotFound`, and :class:`InvalidOption`
    when there are several.
    """
    if not found:
        raise NotFound(
            f"No worker with the id {worker} is running.", hint="postmill worker list shows those that are."
        )
    if len(found) > 1:
        raise InvalidOption(
            f"The ids of several workers begin with {worker}.", hint="Give more of it: worker list --json."
        )
    return found[0]


def drain_workers(
    connection: Connection, *, host: str | None = None, older_than: str | None = None
) -> list[dict[str, Any]]:
    """Asks the workers of ``host``, or those that run an older version of Postmill, to finish what they run
    and stop; with both those that are both. Returns ``worker_id``, ``host`` and ``version`` of each. Raises
    :class:`InvalidOption` for a version that is none.
    """
    found = connection.execute(statement("workers_running"), (host,)).fetchall()
    if older_than is not None:
        newest = _version(older_than)
        found = [each for each in found if _version(each["version"]) < newest]
    for each in found:
        _one(connection, "worker_drain", each["worker_id"])
    return found


def _version(text: str) -> tuple[tuple[int, ...], bool]:
    """In order of age. What follows the numbers makes a version one before its release, as 1.2rc1 is; what
    follows a plus is the program's own release, and says nothing of Postmill's.
    """
    read = re.fullmatch(r"v?(\d+(?:\.\d+)*)([^+]*)(?:\+.*)?", text.strip())
    if read is None:
        raise InvalidOption(f"{text!r} is no version.", hint="Write it as 0.2.0: worker list shows them.")
    numbers = [int(number) for number in read[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), not read[2]


def _one(connection: Connection, name: str, *arguments: object) -> dict[str, Any]:
    row = connection.execute(statement(name), arguments).fetchone()
    return row or {}
