"""Versions of what people watch, read many times a second: cheap, and only to be compared with each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postmill.db.tools.connect import Connection

QUEUES = "queues"
"""The topic of every queue together."""
_LARGEST_ID = 2**63 - 1
"""Ids are Postgres's bigint. A browser may ask for a larger number, and the statement would fail for all."""


@dataclass(slots=True)
class Watched:
    """What is watched, by kind. Other topics have a version always."""

    queues: set[str] = field(default_factory=set)
    every_queue: bool = False
    messages: set[tuple[str, int]] = field(default_factory=set)
    runs: set[int] = field(default_factory=set)


def watched(topics: Iterable[str]) -> Watched:
    """What these topics name. A topic is ``queues``, ``queue:NAME``, ``message:NAME/ID``, ``run:ID``, or a
    word that needs no more; one that makes no sense is left out: all streams share one statement.
    """
    found = Watched()
    for topic in topics:
        if "\0" in topic:  # no table has one, and the statement would fail for all
            continue
        kind, _, name = topic.partition(":")
        queue, _, last = name.rpartition("/")
        if topic == QUEUES:
            found.every_queue = True
        elif kind == "queue":
            found.queues.add(name)
        elif kind == "message" and _is_id(last):
            found.messages.add((queue, int(last)))
        elif kind == "run" and _is_id(name):
            found.runs.add(int(name))
    return found


def read(connection: Connection, asked: Watched) -> dict[str, str]:
    """The version of each topic that is there."""
    messages = sorted(asked.messages)
    rows = connection.execute(
        statement("read_versions"),
        (
            sorted(asked.queues),
            asked.every_queue,
            [queue for queue, _ in messages],
            [msg_id for _, msg_id in messages],
            sorted(asked.runs),
        ),
    ).fetchall()
    return {row["topic"]: row["version"] or "" for row in rows}


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= _LARGEST_ID
