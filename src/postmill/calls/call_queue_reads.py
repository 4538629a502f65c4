"""Reads call queues as they are at the moment in which their messages are sent. A change that was committed
before a message was sent holds for its call, whether or not its notification has arrived.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from postmill.model.calls.call_queue import CallQueue
from postmill.service.service import new_task
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from postmill.db.hot.shared_connection import SharedConnection


@dataclass(frozen=True, slots=True)
class ReadQueue:
    """A call queue, and which of its secrets its role may use."""

    queue: CallQueue
    granted: Collection[str]


class CallQueueReads:
    """The reads of one process. Calls that begin while a read is on its way share the next one, so there is
    one at a time, however many calls begin.
    """

    def __init__(self, shared: SharedConnection) -> None:
        self._shared = shared
        self._turn = asyncio.Lock()
        self._asked: set[str] = set()
        """Queues that the next read is for."""
        self._next: asyncio.Task[Mapping[str, ReadQueue]] | None = None
        """The read that has not begun."""

    async def now(self, name: str) -> ReadQueue | None:
        """The call queue ``name``; None: it is no call queue any more. Raises what asyncpg raises."""
        self._asked.add(name)
        if self._next is None:
            self._next = new_task(self._read())
        return (await asyncio.shield(self._next)).get(name)

    async def _read(self) -> Mapping[str, ReadQueue]:
        async with self._turn:
            asked, self._asked, self._next = self._asked, set(), None
            rows = await self._shared.fetch(statement("call_queues_now"), list(asked))
        return {row["queue_name"]: ReadQueue(queue_of(row), frozenset(row["granted"])) for row in rows}


def queue_of(row: Any) -> CallQueue:
    """The call queue of a row."""
    headers = orjson.loads(row["headers"])
    return CallQueue(
        row["queue_name"],
        row["function_name"],
        row["url"],
        {
            name: value if isinstance(value, str) else orjson.dumps(value).decode()
            for name, value in headers.items()
        },
        row["max_attempts"],
        row["timeout_ms"] / 1000,
        tuple(row["secrets"]),
        row["created_by"],
    )
