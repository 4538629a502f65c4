"""What queues have done, and how full they were, over time: sums that workers write each two seconds, and
looks that pruning takes about once a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]


def throughput(connection: Connection, names: Sequence[str]) -> list[Row]:
    """Of each queue, in this order: ``completed_per_minute`` lately and, of the last hour, ``failed_percent``
    of its attempts (None without any) and ``last_hour``, what completed in each five minutes.
    """
    return connection.execute(statement("read_throughput"), (list(names),)).fetchall()


def series(connection: Connection, queue: str, span: timedelta) -> list[Row]:
    """One row for each minute of ``span`` up to six hours, else for each hour, the oldest first. The database
    refuses a queue that is not there.
    """
    return connection.execute(statement("read_queue_history"), (queue, span)).fetchall()
