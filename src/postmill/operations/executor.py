"""Carries out operations for one process: a loop that does the next page of whichever is due.

Each page is one statement and one transaction, and locks its operation's row with SKIP LOCKED. So any number
of processes may run this, and whenever one of them dies, what it did is written down or was not done. What a
page does is the database's to say (``postmill._step_operation``).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.db.hot.looking_service import FLOOR_S, RARELY_S, LookingService
from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.model.error_text import summary_of
from postmill.model.events import Event
from postmill.service.outage import Outage
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.model.config.address import Address
    from postmill.service.events import Events

PAGE = 500
"""Messages that one transaction takes, at most. Five hundred take about 10 ms on two cores: claims that share
the connection hardly wait.
"""
HELD_S = 1.0
"""An operation that is due and that another session holds is looked for again after this time, in seconds. A
second: another process is at work on it, and does the next page as well.
"""
STOP_S = 2.0
"""How long the page in hand may take at the stop, in seconds: what takes longer waits for a lock, is rolled
back, and is the next process's.
"""


class Executor(LookingService):
    """The executor of one process."""

    channel = "postmill:operations"
    """Notified of an operation that is asked for."""

    def __init__(self, shared: SharedConnection, events: Events, outage: Outage) -> None:
        super().__init__(shared, events, outage)
        self._page = PAGE

    @property
    def name(self) -> str:
        """See :class:`Service`."""
        return "executor of operations"

    @property
    def _floor_s(self) -> float:
        return RARELY_S if self._listens else FLOOR_S

    async def _look(self) -> bool:
        row = await self._step()
        if row is not None:
            self._report(row)
            return True
        next_s = (await self._shared.fetchrow(statement("operations_next")))["next_s"]
        due_s = self._floor_s if next_s is None else float(next_s)
        self._rest_s = min(self._floor_s, due_s if due_s > 0 else HELD_S)
        return False

    async def _step(self) -> Any:
        """One page. The next is smaller after one that took too long: it would do so again."""
        try:
            row = await self._shared.fetchrow(statement("operation_step"), self._page)
        except (TimeoutError, asyncpg.QueryCanceledError):
            self._page = max(1, self._page // 2)
            raise
        self._page = min(PAGE, self._page * 2)
        return row

    def _report(self, row: Any) -> None:
        if row["state"] == "running":
            return
        number, kind, queue, done = (row[name] for name in ("operation_id", "kind", "queue_name", "done"))
        if row["state"] == "failed":
            self._events.emit(
                Event.OPERATION_FAILED, operation=number, kind=kind, of=queue, done=done, reason=row["error"]
            )
        else:
            self._events.emit(Event.OPERATION_ENDED, operation=number, kind=kind, of=queue, done=done)

    def _say_refused(self, error: BaseException) -> None:
        self._events.emit(
            Event.OPERATION_FAILED, reason=f"no operation can be carried out here: {summary_of(error)}"
        )


@asynccontextmanager
async def executing(where: Address, events: Events) -> AsyncIterator[Executor]:
    """Carry out operations for a while, on a connection of their own."""
    connection = SharedConnection(where, "operations")
    executor = Executor(connection, events, Outage(events, is_passing))
    executor.start()
    try:
        yield executor
    finally:
        await executor.stop_within(STOP_S)
        await connection.close()
