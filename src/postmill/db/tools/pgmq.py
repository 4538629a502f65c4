"""pgmq on this server: whether it is there, the shape of its queues, and the SQL that installs it.

A pgmq that is here already, as an extension or from plain SQL, is used as it is; nothing in this module
changes one. Its shape is read from the catalogue: version strings are never compared. Installing is the
migrator's work.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from postmill.model.database_errors import no_such_queue
from postmill.model.errors import Refused
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from psycopg.rows import DictRow

_NEEDED = frozenset({"msg_id", "read_ct", "enqueued_at", "vt", "message"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """pgmq's own installation SQL, as the PyPI package ``pgmq`` carries it."""

    version: str
    sql: str

    @property
    def sha256(self) -> str:
        """Digest of the SQL, in hex."""
        return sha256(self.sql.encode()).hexdigest()


def bundle() -> Bundle:
    """The SQL of the pgmq release that the dependency ``pgmq`` ships."""
    from pgmq.install import (  # noqa: PLC0415  (0.2 s of imports that only an installation needs)
        get_embedded_install_sql,
        get_embedded_sql_version,
    )

    return Bundle(get_embedded_sql_version(), get_embedded_install_sql())


def is_present(connection: psycopg.Connection[Any]) -> bool:
    """Whether this database has a pgmq that Postmill can use.

    Raises :class:`Refused` when it has one whose messages lack a needed column.
    """
    row = _rows(connection, statement("pgmq_present"))[0]
    missing = sorted(_NEEDED.difference(row["attributes"]))
    if row["present"] and missing:
        raise Refused(
            "The pgmq of this database can't be used.",
            why=f"Its type pgmq.message_record has no {', '.join(missing)}.",
            hint="Upgrade it to pgmq 1.4.4 or later.",
        )
    return bool(row["present"])


def shapes(connection: psycopg.Connection[Any]) -> list[QueueShape]:
    """The shape of every queue of this database, by name."""
    return [QueueShape.of(row) for row in _rows(connection, statement("queue_shape"), None)]


def shape(connection: psycopg.Connection[Any], queue: str) -> QueueShape:
    """The shape of one queue. Raises :class:`QueueNotFound`."""
    rows = _rows(connection, statement("queue_shape"), queue)
    if not rows:
        raise no_such_queue(queue)
    return QueueShape.of(rows[0])


def _rows(connection: psycopg.Connection[Any], sql: str, *values: object) -> list[DictRow]:
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        return cursor.execute(sql.encode(), values or None).fetchall()
