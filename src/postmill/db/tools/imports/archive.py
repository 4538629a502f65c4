"""Brings finished messages of a pgmq archive into the archive of a queue, which Postmill lists.

In this database they are moved: deleted there and written here in one statement. From another one they are
copied, each with a mark in ``postmill.imported`` that the same statement writes. Ids do not say how far a run
came, since a message with a low id may be archived last: so each run goes through all keys, and copies those
without a mark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.db.tools import pgmq
from postmill.db.tools.imports.report import LEFT_BEHIND, Line
from postmill.db.tools.imports.source import Source, source_at, table
from postmill.model.errors import Refused
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.db.tools.connect import Connection
    from postmill.db.tools.imports.source import SourceTable
    from postmill.model.queue.queue_name import QueueShape

_NEEDED = frozenset({"msg_id", "read_ct", "enqueued_at", "archived_at", "vt", "message"})
_COPIED = (
    *("key", "msg_id", "read_ct", "enqueued_at", "archived_at", "vt"),
    *("message", "headers", "last_read_at"),
)
"""Columns of a page in the order in which the statement takes them."""


@dataclass(frozen=True, slots=True)
class _Import:
    """One archive on its way into the archive of one queue."""

    connection: Connection
    archive: SourceTable
    shape: QueueShape
    horizon: str
    """What was archived before is older than the queue keeps it."""
    room: int | None
    """For how many more the queue's archive has room; None: any number."""
    page: int

    @property
    def moves(self) -> bool:
        return self.archive.source.is_here

    @property
    def flags(self) -> list[str]:
        """Which columns both ends have."""
        has_headers, has_last_read = (each in self.archive.columns for each in ("headers", "last_read_at"))
        keeps, keeps_last_read = self.shape.archive_has_headers, self.shape.archive_has_last_read_at
        flags = {
            "has_headers": has_headers,
            "has_last_read": has_last_read,
            "keeps_headers": keeps,
            "keeps_last_read": keeps_last_read,
            "moves_headers": keeps and has_headers,
            "only_origin": keeps and not has_headers,
            "moves_last_read": keeps_last_read and has_last_read,
            "no_last_read": keeps_last_read and not has_last_read,
        }
        return [name for name, is_set in flags.items() if is_set]

    def counts(self) -> dict[str, int]:
        """``recent`` messages, which the queue would keep, and ``old`` ones."""
        return self.archive.rows("import_archive_counts", self.horizon)[0]

    def new_pages(self) -> Iterator[list[int]]:
        """Ids of messages that were not copied yet, a page at a time."""
        after = -1
        while page := self.archive.rows("import_archive_keys", after, self.horizon, self.page):
            after = page[-1]["msg_id"]
            ids = {row["key"]: row["msg_id"] for row in page}
            found = self.connection.execute(statement("import_new_keys"), (self.archive.mark, list(ids)))
            if new := [ids[row["key"]] for row in found]:
                yield new


def planned(connection: Connection, name: str, queue: str, url: str | None, *, page: int) -> list[Line]:
    """What a run would do with the archive ``name`` of the database at ``url`` (None: this one).

    Raises :class:`NotFound`, :class:`QueueNotFound`, :class:`Refused`.
    """
    with source_at(connection, url) as source:
        archive = _archive(source, name)
        work = _prepared(connection, archive, queue, page)
        recent = work.counts()["recent"]
        _check_room(work, recent)
        count = recent if work.moves else sum(map(len, work.new_pages()))
        return [*_lines(work, "to do", count), *_too_old(work)]


def run(connection: Connection, name: str, queue: str, url: str | None, *, page: int) -> list[Line]:
    """Move or copy, and say what was done and what is left. Raises as :func:`planned`."""
    with source_at(connection, url) as source:
        archive = _archive(source, name)
        work = _prepared(connection, archive, queue, page)
        recent = work.counts()["recent"]
        _check_room(work, recent)
        done = _move(work, recent) if work.moves else _copy(work)
        behind = work.counts()["recent"] if work.moves else 0
        return [*_lines(work, "done", done), *_too_old(work), *_lines(work, "left", behind)]


def _archive(source: Source, name: str) -> SourceTable:
    hint = "Name an archive's table with its schema, such as pgmq.a_emails."
    return table(source, name, _NEEDED, "an archive of pgmq's", hint=hint)


def _prepared(connection: Connection, archive: SourceTable, queue: str, page: int) -> _Import:
    shape = pgmq.shape(connection, queue)
    here = Source(connection, None).rows(statement("import_table"), shape.archive)
    if archive.source.is_here and archive.name in (row["name"] for row in here):
        raise Refused(
            f"{archive.name} is the archive of queue {queue}: there is nothing to import.",
            why="Postmill reads it as it is.",
            hint=f"postmill message list {queue} --state completed",
        )
    if "headers" in archive.columns and not shape.archive_has_headers:
        raise Refused(
            f"The archive of queue {queue} would lose the headers of these messages.",
            why="It has no column headers: the pgmq of this database is older than 1.5.",
            hint="Upgrade pgmq, or make a queue that has the column.",
        )
    bounds = connection.execute(queue_statement("import_horizon", shape), (queue,)).fetchone() or {}
    return _Import(connection, archive, shape, bounds["horizon"], bounds["room"], page)


def _check_room(work: _Import, recent: int) -> None:
    """``recent`` may hold what was copied already and has its place: asked only where there is little."""
    if work.room is None or recent <= work.room:
        return
    count = recent if work.moves else sum(map(len, work.new_pages()))
    if count > work.room:
        raise Refused(
            f"The archive of queue {work.shape.name} has room for {work.room} messages: {count} are to come.",
            why="It would be pruned at once to the number of messages that it keeps.",
            hint=f"postmill queue retention {work.shape.name} TIME --max-rows N",
        )


def _move(work: _Import, count: int) -> int:
    """Moves until ``count`` are moved: another client that archives faster must not keep it here for ever."""
    text = queue_statement("import_archive_move", work.shape, *work.flags).replace(
        "{source}", work.archive.name
    )
    moved = 0
    while moved < count:
        values = (work.page, work.horizon, work.archive.name)
        written = _written(work.connection.execute(text, values).fetchone())
        if not written:
            break
        moved += written
    return moved


def _copy(work: _Import) -> int:
    text = queue_statement("import_archive_copy", work.shape, *work.flags)
    copied = 0
    for ids in work.new_pages():
        rows = work.archive.rows("import_archive_rows", ids, flags=work.flags)
        columns = [[row[name] for row in rows] for name in _COPIED]
        values = (work.archive.mark, work.shape.name, work.archive.name, *columns)
        copied += _written(work.connection.execute(text, values).fetchone())
    return copied


def _written(row: dict[str, Any] | None) -> int:
    return int(row["written"]) if row else 0


def _lines(work: _Import, outcome: str, count: int) -> list[Line]:
    ways = {True: "moved into the queue's archive", False: "copied into the queue's archive"}
    why = LEFT_BEHIND if outcome == "left" else ways[work.moves]
    return [Line(work.archive.name, work.shape.name, outcome, count, why)] if count else []


def _too_old(work: _Import) -> list[Line]:
    old = work.counts()["old"]
    why = "older than the queue keeps finished messages: see postmill queue retention"
    return [Line(work.archive.name, work.shape.name, "left", old, why)] if old else []
