"""Queues as they stand: the first thing that is looked at. What a look costs does not grow with a queue: of a
large one some pages are read and stand for the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]


def queues(connection: Connection, queue: str | None = None, *, exactly: bool = False) -> list[Row]:
    """Every queue with its counts, or ``queue`` only: the database refuses one that is not there. Counts of
    large queues are estimates (``exact`` is false) unless ``exactly``, which takes 0.1 s a million messages.
    """
    return connection.execute(statement("read_queues"), (queue, exactly)).fetchall()


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
    return connection.execute(statement("read_queue_ranks"), (after, limit)).fetchall()


def with_counters(connection: Connection) -> list[Row]:
    """Every queue with its counts, and how many messages were sent to it and have left it so far."""
    return connection.execute(statement("read_top_queues")).fetchall()


def metrics(connection: Connection, *, slots: int | None, target_wait_s: float) -> list[Row]:
    """Every queue in numbers for monitoring, with the workers that it wants: of ``slots`` each (None: as its
    last one had), so that a ready message waits no longer than ``target_wait_s``.
    """
    return connection.execute(statement("read_queue_metrics"), (slots, target_wait_s)).fetchall()
