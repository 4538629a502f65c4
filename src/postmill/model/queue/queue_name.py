"""Which queue names we create, and how a queue's tables are named in SQL text.

A queue name reaches SQL text only through :class:`QueueShape`, whose names are quoted here; never from a
user's string. pgmq itself allows more (``MyQueue``) and lower-cases tables but not its registry, so two names
can share a table: such queues of other clients are read, not created.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.model.errors import InvalidQueueName

if TYPE_CHECKING:
    from collections.abc import Mapping

RULE = re.compile(r"(?!.*--)[a-z0-9_][a-z0-9_-]{0,46}")
_NOBODYS = re.compile(r"[\0{}\"$;']|--")
"""Characters that no queue's name may have. pgmq refuses most of them too."""


def validated(name: object) -> str:
    """``name`` itself, or :class:`InvalidQueueName`: 1 to 47 of a-z, 0-9, _ and single -, not the first."""
    if isinstance(name, str) and RULE.fullmatch(name):
        return name
    raise InvalidQueueName(
        f"{name!r} is not a queue name that Postmill creates.",
        why="A name has 1 to 47 characters out of a-z, 0-9, _ and -; no - comes first or twice in a row.",
        hint="Choose another name, e.g. 'emails' or 'resize-images'.",
    )


def usable(name: object) -> str:
    """``name`` itself, when some pgmq client may have given it to a queue; or :class:`InvalidQueueName`."""
    if isinstance(name, str) and name and not _NOBODYS.search(name):
        return name
    raise not_a_name(name)


def not_a_name(name: object) -> InvalidQueueName:
    """The error for what no client can have given to a queue as its name."""
    return InvalidQueueName(
        f"{name!r} is not the name of a queue.",
        why="It is empty, or has in it what no queue's name has: a quotation mark, a brace, $, ; or --.",
    )


@dataclass(frozen=True, slots=True)
class QueueShape:
    """What the tables of one queue look like on this server (they differ between pgmq versions)."""

    name: str
    relation: int
    """OID of the queue's table: another one means that the queue was dropped and created again."""
    has_headers: bool = True
    has_last_read_at: bool = True
    is_partitioned: bool = False
    id_sequence: str = ""
    """The sequence that gives message ids, quoted for SQL text; empty: the one of the usual name."""
    archive_has_headers: bool = True
    archive_has_last_read_at: bool = True

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> QueueShape:
        """From a row of the statement ``queue_shape``, whichever driver read it."""
        return cls(
            name=row["queue_name"],
            relation=row["relation"],
            has_headers=row["has_headers"],
            has_last_read_at=row["has_last_read_at"],
            is_partitioned=row["is_partitioned"],
            id_sequence=row["id_sequence"] or "",
            archive_has_headers=row["archive_has_headers"],
            archive_has_last_read_at=row["archive_has_last_read_at"],
        )

    @property
    def columns(self) -> int:
        """What the SQL part ``cursor_columns`` says of tables that look like this."""
        present = (
            self.has_headers,
            self.has_last_read_at,
            self.archive_has_headers,
            self.archive_has_last_read_at,
        )
        return sum(there << bit for bit, there in enumerate(present))

    @property
    def queue(self) -> str:
        """The queue's table, quoted for SQL text."""
        return f"pgmq.{_quoted('q_' + self.name.lower())}"

    @property
    def archive(self) -> str:
        """The archive's table, quoted for SQL text."""
        return f"pgmq.{_quoted('a_' + self.name.lower())}"

    @property
    def sequence(self) -> str:
        """The sequence that gives message ids, quoted for SQL text."""
        return self.id_sequence or f"pgmq.{_quoted('q_' + self.name.lower() + '_msg_id_seq')}"


def clipped(identifier: str) -> str:
    """What the server keeps of a name: as many whole characters as fit into 63 bytes."""
    return identifier.encode()[:63].decode(errors="ignore")


def _quoted(identifier: str) -> str:
    return '"' + clipped(identifier).replace('"', '""') + '"'
