"""Where the messages of a route are: how many of each database have a key that lives elsewhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.db.tools.connect import Connection
    from postmill.model.databases.databases import Databases

PAGE = 10_000
"""Messages that one statement looks at. Ten thousand take some 10 ms, so that a look holds nothing up."""
MOST = 1_000_000
"""Messages of one queue at which ``route status`` looks, at most: about a second. Of more it says so."""


@dataclass(slots=True)
class Spread:
    """The messages of a queue in one database."""

    queue: str
    database: str
    takes_new: bool
    """Whether its route leads here."""
    messages: int = 0
    elsewhere: int = 0
    """Those whose key lives in another database. They run here all the same."""
    without_key: int = 0
    """Those whose home is not known: another client has sent them."""
    leaving: int = 0
    """Those that were taken out by ``route move`` and have not arrived."""
    exact: bool = True
    """Whether all messages were looked at."""
    to: dict[str, list[int]] = field(default_factory=dict)
    """The messages that could be moved, by their home."""

    @property
    def is_displaced(self) -> bool:
        """Whether messages here live in another database."""
        return bool(self.elsewhere or self.leaving)

    def as_row(self) -> dict[str, Any]:
        """For people and JSON."""
        names = ("queue", "database", "takes_new", "messages", "elsewhere", "without_key", "leaving", "exact")
        return {name: getattr(self, name) for name in names}


def has_queue(connection: Connection, queue: str) -> bool:
    """Whether the database has the queue."""
    return bool(connection.execute(statement("database_queues"), [[queue]]).fetchall())


def spread(connection: Connection, databases: Databases, name: str, queue: str) -> Spread:
    """The spread of a queue in the database ``name``: of the first :data:`MOST` messages."""
    found = Spread(queue, name, name in databases.over(queue))
    found.leaving = sum(leaving(connection, queue).values())
    if has_queue(connection, queue):
        for page in pages(connection, databases, name, queue):
            found.messages += page.messages
            found.elsewhere += page.elsewhere
            found.without_key += page.without_key
            if found.messages >= MOST:
                found.exact = False
                break
    return found


def leaving(connection: Connection, queue: str) -> Counter[str]:
    """Messages on their way, by the database to which they go."""
    rows = connection.execute(statement("route_leaving"), [queue]).fetchall()
    return Counter({row["target"]: row["messages"] for row in rows})


def pages(connection: Connection, databases: Databases, name: str, queue: str) -> Iterator[Spread]:
    """The same, page by page, with the ids of the messages that could be moved."""
    takes_new, last, full = name in databases.over(queue), -1, True
    text = queue_statement("route_keys", QueueShape(queue, relation=0))
    while full:
        rows = connection.execute(text, (last, PAGE)).fetchall()
        page = Spread(queue, name, takes_new)
        for row in rows:
            last = max(last, row["last_id"])
            page.messages += row["messages"]
            home = _home(databases, queue, row["key"])
            if home is None:
                page.without_key += row["messages"]
            elif home != name:
                page.elsewhere += row["messages"]
                page.to.setdefault(home, []).extend(row["fresh"] or ())
        full = page.messages == PAGE
        yield page


def _home(databases: Databases, queue: str, key: str | None) -> str | None:
    """The home of a message; None where its key is not known and would decide."""
    over = databases.over(queue)
    if len(over) == 1:
        return over[0]
    return None if key is None else databases.home(queue, key)
