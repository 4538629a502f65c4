"""A worker's row in ``idle_workers``, the list of workers that want to be woken when something is sent to
their queue.

A send wakes one of them. A worker that is woken and has no room deletes its row, which wakes another one; a
worker that can't take all the messages wakes another one too. The claimer decides when.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from postmill.service.service import new_task
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from uuid import UUID

    import asyncpg

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.model.queue.queue_name import QueueShape


class IdleRegistration:
    """Raises what asyncpg raises, except for work that is done later."""

    def __init__(self, shared: SharedConnection, queue: str, worker_id: UUID, max_poll_s: float) -> None:
        """``max_poll_s``: the longest rest of the worker. A message that falls due later need not wake it."""
        self.listed = False
        """Whether the worker's row is there, so that a send may wake it."""
        self._shared = shared
        self._queue = queue
        self._worker_id = worker_id
        self._max_poll_s = max_poll_s
        self._unawaited: asyncio.Task[object] | None = None
        shared.on_connect(self._connected)

    async def join(self) -> None:
        """Write the worker's row."""
        if not self.listed:
            await self._shared.execute(
                statement("idle_worker_add"), self._queue, self._worker_id, self._max_poll_s
            )
            self.listed = True

    async def leave(self) -> None:
        """Delete the worker's row, and wake another worker for the messages that this one was woken for."""
        if self.listed:
            self.listed = False
            await self._shared.execute(statement("idle_worker_remove"), self._queue, self._worker_id)

    async def leave_for_good(self) -> None:
        """Delete the worker's row if the database can be reached. If it can't, the standby worker claims the
        message.
        """
        with suppress(Exception):
            await self.leave()

    def forget(self) -> None:
        """The list may be lost: write the row again."""
        self.listed = False

    def leave_later(self) -> None:
        """Delete the row later, in a task of its own."""
        self._later(self.leave())

    def wake_another(self, shape: QueueShape, position: int, *flags: str) -> None:
        """Wake another worker: there are more messages above ``position`` than this one can take. ``flags``:
        of the statement.
        """
        text = queue_statement("wake_another", shape, *flags)
        self._later(self._shared.execute(text, self._queue, self._worker_id, position))

    async def _connected(self, _connection: asyncpg.Connection) -> None:
        """Write the row again: a crash of the server empties the list, whose table is unlogged."""
        self.listed = False

    def _later(self, work: Coroutine[Any, Any, object]) -> None:
        self._unawaited = new_task(work)
        self._unawaited.add_done_callback(lambda done: done.cancelled() or done.exception())
