"""Brings the jobs of Supaworker into queues: as the facade's bridge does, for all that waits.

The bridge moves a batch in one transaction, so a job is in one place whenever this process dies, and the next
run goes on with what is left. Nothing else remembers how far a run came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.db.tools import facades, migrate, operations, pgmq
from postmill.db.tools.imports.report import LEFT_BEHIND, Line
from postmill.model.errors import InvalidQueueName, QueueNotFound, Refused
from postmill.model.queue.queue_name import RULE, validated
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection

_MOVED = "moved into the queue"
_MISSING = "there is no such queue: add --create"


def planned(connection: Connection, queue: str | None, target: str | None, *, create: bool) -> list[Line]:
    """What a run would do with the jobs of ``queue`` (None: of every one), and what it would leave and why.

    Raises :class:`Refused` without the facade.
    """
    jobs = _jobs(connection, queue)
    known = {shape.name for shape in pgmq.shapes(connection)}
    return [_planned(row, target or row["queue"], known, create=create) for row in jobs]


def run(
    connection: Connection, queue: str | None, target: str | None, *, create: bool, batch: int
) -> list[Line]:
    """Move what waits, and say what was moved and what is left. ``create`` makes queues that are missing.

    Raises :class:`Refused` without the facade, :class:`QueueNotFound` before anything is moved.
    """
    waiting: dict[str, int] = {}
    for row in _jobs(connection, queue):
        if row["why"] is None:
            waiting[row["queue"]] = waiting.get(row["queue"], 0) + row["jobs"]
    for name in waiting:
        _prepare(connection, target or name, create=create)
    moved = [
        Line(
            "supaworker",
            target or name,
            "done",
            _drain(connection, name, target or name, count, batch),
            _MOVED,
        )
        for name, count in waiting.items()
    ]
    return moved + [
        Line(row["source"], target or row["queue"], "left", row["jobs"], row["why"] or LEFT_BEHIND)
        for row in _jobs(connection, queue)
    ]


def _jobs(connection: Connection, queue: str | None) -> list[dict[str, Any]]:
    if not migrate.has_facade(connection, facades.named("supaworker")):
        raise Refused(
            "The facade supaworker is not installed here; nothing was changed.",
            why="It knows the tables of both versions of Supaworker.",
            hint="postmill migrate --facade supaworker",
        )
    with connection.transaction():
        connection.execute(statement("import_all_rows"))
        return connection.execute(statement("import_supaworker_jobs"), (queue,)).fetchall()


def _planned(row: dict[str, Any], target: str, known: set[str], *, create: bool) -> Line:
    outcome, why = "to do", _MOVED
    if row["why"] is not None:
        outcome, why = "left", row["why"]
    elif target not in known and not RULE.fullmatch(target):
        outcome, why = "left", "no name that a queue can have: import these alone, with --target NAME"
    elif target not in known:
        outcome, why = ("to do", "moved into the queue, which is made") if create else ("left", _MISSING)
    return Line(row["source"], target, outcome, row["jobs"], why)


def _prepare(connection: Connection, queue: str, *, create: bool) -> None:
    try:
        if create:
            operations.create_queue(connection, validated(queue))
        pgmq.shape(connection, queue)
    except InvalidQueueName as error:
        raise InvalidQueueName(
            error.what, why=error.why, hint="Import these jobs alone, with --target NAME."
        ) from error
    except QueueNotFound as error:
        raise QueueNotFound(error.what, why="Nothing was moved.", hint="Add --create to make it.") from error


def _drain(connection: Connection, queue: str, target: str, count: int, batch: int) -> int:
    """Moves until ``count`` are moved: producers that are faster than this must not keep it here for ever."""
    moved = 0
    while moved < count:
        row = connection.execute(statement("import_supaworker_batch"), (queue, target, batch)).fetchone()
        if row is None or not row["moved"]:
            break
        moved += row["moved"]
    return moved
