"""Making and dropping the indexes by which searches find values in what is done.

They are built concurrently: sends and workers go on meanwhile, and no transaction may be open. So what is
wanted is written down first, and building goes on where it was interrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.db.reads import overview
from postmill.db.reads.search_indexes import listed
from postmill.model.errors import InvalidOption, NotFound, Refused
from postmill.model.finding import Finding
from postmill.model.search.language import parse, place_of
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address

Row: TypeAlias = dict[str, Any]
NAMED = 5
"""Indexes that a finding names. Five: what is wrong with one is mostly wrong with all of them."""


def place_in(text: str) -> str:
    """The place that ``text`` names, as every search of it is written. Raises :class:`InvalidOption`."""
    found = parse(f"{text}=x") if text.startswith(("payload.", "header.")) else None
    if found is None or len(found.fields) != 1 or found.fields[0].value != "x":
        raise InvalidOption(
            f"{text!r} is no place of a message.",
            why="An index is on payload.PATH or header.NAME, as a search has it before =.",
            hint=f"Did you mean payload.{text}?" if text.replace(".", "").isidentifier() else "",
        )
    return place_of(found.fields[0])


def create(
    connection: Connection, queue: str, text: str, told: Callable[[str], None] = lambda _: None
) -> list[Row]:
    """Build the indexes of a place, and go on where that was interrupted. ``told`` is given the name of each
    table before its index is built. Returns the indexes; raises :class:`Refused` while another process
    builds one, or when the tables have another owner.
    """
    place = place_in(text)
    overview.queues(connection, queue)
    already = any(row["place"] == place for row in listed(connection, queue))
    connection.execute(statement("search_index_want"), (queue, place))
    try:
        _check_owner(connection, queue, place)
    except Refused:
        if not already:
            connection.execute(statement("search_index_forget"), (queue, place))
        raise
    for row in _of(connection, queue, place):
        _check_idle(row)
        if row["state"] == "unfinished":
            _drop(connection, row)
        if row["state"] != "built":
            told(row["table_name"])
            connection.execute(row["definition"])
    return _of(connection, queue, place)


def droppable(connection: Connection, queue: str, text: str) -> list[Row]:
    """The indexes of a place, which can be dropped now. Raises :class:`NotFound`, and :class:`Refused` while
    another process builds one, or when the tables have another owner.
    """
    place = place_in(text)
    found = _of(connection, queue, place)
    if not found:
        raise NotFound(
            f"Queue {queue} has no index on {place}.", hint=f"Those there are: postmill index list {queue}"
        )
    for row in found:
        _check_idle(row)
    _check_owner(connection, queue, place)
    return found


def drop(connection: Connection, queue: str, text: str) -> None:
    """Drop the indexes of a place; searches find it all the same, by looking at each message. Raises as
    :func:`droppable`.
    """
    for row in droppable(connection, queue, text):
        if row["state"] != "missing":
            _drop(connection, row)
    connection.execute(statement("search_index_forget"), (queue, place_in(text)))


def drop_all(connection: Connection, queue: str) -> None:
    """Drop the indexes of a queue that is dropped."""
    for place in sorted({row["place"] for row in listed(connection, queue)}):
        drop(connection, queue, place)


def checked(connection: Connection, _: Address) -> Finding:
    """The check of ``postmill doctor``: indexes that are not whole, or that are left of a queue which is
    gone.
    """
    rows = [row for row in listed(connection) if row["state"] in {"unfinished", "missing"}]
    if rows:
        found = ", ".join(f"{row['place']} of {row['queue']} ({row['state']})" for row in rows[:NAMED])
        fix = f"As the owner of the tables: postmill index create {rows[0]['queue']} {rows[0]['place']}"
        return Finding("search indexes", "warn", found, fix, tuple(row["queue"] for row in rows))
    return Finding("search indexes", "pass", "each is whole")


def _drop(connection: Connection, row: Row) -> None:
    connection.execute(f"drop index concurrently if exists {row['index_name']}".encode())


def _of(connection: Connection, queue: str, place: str) -> list[Row]:
    return [row for row in listed(connection, queue) if row["place"] == place]


def _check_idle(row: Row) -> None:
    if row["state"] == "building":
        raise Refused(
            f"{row['index_name']} is being built by another process.",
            hint=f"postmill index list {row['queue']} shows when it is done.",
        )


def _check_owner(connection: Connection, queue: str, place: str) -> None:
    row = connection.execute(statement("search_index_owned"), (queue, place)).fetchone() or {}
    if row["of_others"]:
        raise Refused(
            f"These tables are not ours: {', '.join(row['of_others'])}.",
            why="Only the owner of a table builds an index on it, and drops one.",
            hint="Run this as their owner; until then searches look at each message.",
        )
