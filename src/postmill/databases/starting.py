"""What is looked up before workers start on several databases. A database that is away is left out: its
engine waits for it. One that is another than its name says, or lacks the schema, ends the start.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from postmill.databases.placement import Placement
from postmill.db.tools.connect import connect, translated
from postmill.db.tools.migrate import check_version
from postmill.model.errors import DatabaseUnavailable, LoginFailed
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.engine.handler import Handler
    from postmill.model.databases.databases import Databases


def looked_up(databases: Databases, handlers: Sequence[Handler], only: str | None) -> Placement:
    """Where these handlers work. Raises what :func:`queues_of` raises."""
    queues = sorted({handler.options.queue for handler in handlers})
    names = databases.names if only is None else (only,)

    def of(name: str) -> frozenset[str]:
        return queues_of(databases, name, queues)

    with ThreadPoolExecutor(max_workers=len(names), thread_name_prefix="postmill look") as pool:
        return Placement(databases, only, dict(zip(names, pool.map(of, names), strict=True)))


def queues_of(databases: Databases, name: str, queues: Sequence[str]) -> frozenset[str]:
    """Those of ``queues`` that the database ``name`` has; none while it can't be reached. Gives it its name.

    Raises ``Refused`` when it has another name, ``SchemaMissing``, ``SchemaTooNew`` and ``LoginFailed``.
    """
    where = databases.addresses[name]
    try:
        with closing(connect(where)) as connection, translated(where):
            check_version(connection, name)
            connection.execute(statement("name_database"), [name])
            rows = connection.execute(statement("database_queues"), [list(queues)]).fetchall()
    except LoginFailed:
        raise
    except DatabaseUnavailable:
        return frozenset()
    return frozenset(row["queue_name"] for row in rows)
