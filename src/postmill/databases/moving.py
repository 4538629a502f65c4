"""Brings waiting messages to the database in which their keys live: after a route has got another database,
or lost one.

Nothing commits in two databases at once, so a message goes in three steps, each of which may be repeated:
taken out of its queue into a list of departures, in one transaction; put into the other queue and a list of
arrivals, in one transaction; struck from the departures. Wherever this breaks off, no message is lost, and
none is there twice: what is listed is brought in the next time, and what has arrived is not put in again.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from postmill.databases.spread import leaving, pages
from postmill.model.errors import PostmillError
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection
    from postmill.model.databases.databases import Databases

WHY_LEFT = {
    "tried": "were tried before",
    "unique_key": "have a unique key",
    "group_key": "have a group, or wait for a place",
    "bound": "wait for others, or have followers",
    "awaited": "have somebody who waits for the result",
    "held": "are held by another session now",
}
"""What ``route move`` does not take out, by reason: what is known of these is in their database."""
BATCH = 500
"""Messages that are brought in together: few enough that their payloads fit into memory on both sides."""


class Connections(Protocol):
    """Those of one move, open until it ends."""

    def to(self, name: str) -> Connection:
        """One to the database ``name``, whatever is there. Raises what keeps from working with it."""
        ...

    def with_queue(self, name: str) -> Connection:
        """One to a database that has the queue by then."""
        ...


class Mover:
    """Moves the messages of one queue out of the database ``name``."""

    def __init__(self, databases: Databases, queue: str, name: str, connections: Connections) -> None:
        self._databases, self._queue, self._name = databases, queue, name
        self._connections = connections
        self._shape = QueueShape(queue, relation=0)
        self.moved = 0
        self.left: Counter[str] = Counter(dict.fromkeys(WHY_LEFT, 0))
        """Messages that live elsewhere and stay, by reason."""

    def move(self) -> int:
        """Move all that can be moved; first what an earlier call has taken out. Returns how many have
        arrived. Raises what the databases raise: then what was taken out is kept for the next call.
        """
        source = self._connections.with_queue(self._name)
        self._forget_arrived(source)
        self._bring_in(source)
        for page in pages(source, self._databases, self._name, self._queue):
            fresh = [each for ids in page.to.values() for each in ids]
            self.left["tried"] += page.elsewhere - len(fresh)
            for target, ids in page.to.items():
                self._take(source, target, ids)
            if fresh:
                self._bring_in(source)
        return self.moved

    def _forget_arrived(self, source: Connection) -> None:
        """Forget what an earlier call has brought in without having said so. Where that can't be done now, it
        stays for the next call.
        """
        for target in self._databases.over(self._queue):
            if target != self._name:
                with suppress(PostmillError):
                    self._forget_arrived_in(self._connections.to(target), source)

    def _forget_arrived_in(self, goal: Connection, source: Connection) -> None:
        """What is not listed as leaving any more can't come again. Arrivals are listed first: one that comes
        in meanwhile, by another process, is not among them.
        """
        arrived = goal.execute(statement("route_arrivals"), [self._name, self._queue]).fetchall()
        ids = [row["msg_id"] for row in arrived]
        settled = source.execute(statement("route_gone"), [self._queue, ids]).fetchall() if ids else []
        goal.execute(
            statement("route_settled"), [self._name, self._queue, [row["msg_id"] for row in settled]]
        )

    def _take(self, source: Connection, target: str, ids: list[int]) -> None:
        self._connections.with_queue(target)  # what can't arrive is not taken out
        source.execute(queue_statement("route_take", self._shape), [self._queue, ids, target])
        left = source.execute(queue_statement("route_left", self._shape), [self._queue, ids]).fetchone()
        self.left.update(left or {})

    def _bring_in(self, source: Connection) -> None:
        for target in leaving(source, self._queue):
            while self._bring_in_some(source, self._connections.with_queue(target), target):
                pass

    def _bring_in_some(self, source: Connection, goal: Connection, target: str) -> bool:
        with source.transaction():
            rows = source.execute(statement("route_departures"), [self._queue, target, BATCH]).fetchall()
            ids = [row["msg_id"] for row in rows]
            if ids:
                goal.execute(queue_statement("route_arrive", self._shape), self._arriving(ids, rows))
                source.execute(statement("route_departed"), [self._queue, ids])
        if ids:
            goal.execute(statement("route_settled"), [self._name, self._queue, ids])
            self.moved += len(ids)
        return bool(ids)

    def _arriving(self, ids: list[int], rows: list[dict[str, Any]]) -> list[object]:
        columns = ("enqueued_at", "vt", "message", "headers")
        return [self._name, self._queue, ids, *([row[column] for row in rows] for column in columns)]
