"""Queues as they stand: the first thing that is looked at. What a look costs does not grow with a queue: of a
large one some pages are read and stand for the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]
AT_ONCE = 200
"""Queues that one statement looks into. Each takes three to five places of the server's lock table until it
ends, and a server with 100 connections has 6,400 places for all of them.
"""


def queues(connection: Connection, queue: str | None = None, *, exactly: bool = False) -> list[Row]:
    """Every queue with its counts, or ``queue`` only: the database refuses one that is not there. Counts of
    large queues are estimates (``exact`` is false) unless ``exactly``, which takes 0.1 s a million messages.
    """
    if queue is None and not exactly:
        return [row for page in pages_of_names(connection) for row in some(connection, page)]
    return connection.execute(statement("read_queues"), (queue, exactly)).fetchall()


def pages_of_names(connection: Connection) -> Iterator[list[str]]:
    """The names of all queues in their order, as many at once as one statement may look into."""
    last: str | None = None
    while page := [row["queue"] for row in names(connection, limit=AT_ONCE, after=last)]:
        yield page
        last = page[-1]


def some(connection: Connection, names: Sequence[str]) -> list[Row]:
    """These queues in this order, as :func:`queues`; one that is gone is left out. A millisecond each."""
    return connection.execute(statement("read_some_queues"), (list(names),)).fetchall()


def names(connection: Connection, *, limit: int, after: str | None = None) -> list[Row]:
    """Names of queues in their order: ``limit`` of them, those behind ``after``."""
    return connection.execute(statement("read_queue_names"), (after, limit)).fetchall()


def busiest(connection: Connection, *, limit: int, after: int = 0) -> list[Row]:
    """Names of queues, those in which most goes on first: ``limit`` of them, after the first ``after``. For a
    page out of thousands, which :func:`some` then looks into.
    """
    return connection.execute(statement("read_queue_ranks"), (after, limit, False)).fetchall()


def left_alone(connection: Connection, *, limit: int) -> list[Row]:
    """As :func:`busiest`, but queues come first that have messages and no open claim: there something may
    be wrong. ``known`` is how many queues there are.
    """
    return connection.execute(statement("read_queue_ranks"), (0, limit, True)).fetchall()


def with_counters(connection: Connection, names: Sequence[str]) -> list[Row]:
    """These queues by name with their counts, and how many messages were sent to each and have left it."""
    return connection.execute(statement("read_top_queues"), (list(names),)).fetchall()


def metrics(connection: Connection, *, slots: int | None, target_wait_s: float) -> list[Row]:
    """Every queue in numbers for monitoring, with the workers that it wants: of ``slots`` each (None: as its
    last one had), so that a ready message waits no longer than ``target_wait_s``.
    """
    return [
        row
        for page in pages_of_names(connection)
        for row in connection.execute(
            statement("read_queue_metrics"), (slots, target_wait_s, page)
        ).fetchall()
    ]
