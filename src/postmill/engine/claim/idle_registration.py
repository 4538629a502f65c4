"""The list of workers that want to be called when something is sent to their queue, and one's place on it.

A send calls one of the listed. Who is called and has no room leaves the list, by which another is called; who
can't take all there is calls another. Decides none of this: that is the claimer's.
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
    """Raises what asyncpg raises, but for what is done later."""

    def __init__(self, shared: SharedConnection, queue: str, worker_id: UUID) -> None:
        self.listed = False
        """The queue's senders know that this worker wants to be called."""
        self._shared = shared
        self._queue = queue
        self._worker_id = worker_id
        self._unawaited: asyncio.Task[object] | None = None
        shared.on_connect(self._connected)

    async def join(self) -> None:
        """Want to be called."""
        if not self.listed:
            await self._shared.execute(statement("idle_worker_add"), self._queue, self._worker_id)
            self.listed = True

    async def leave(self) -> None:
        """Not to be called until the worker joins again; what it was called for calls another."""
        if self.listed:
            self.listed = False
            await self._shared.execute(statement("idle_worker_remove"), self._queue, self._worker_id)

    async def leave_for_good(self) -> None:
        """Leave as well as may be: whoever stands by comes anyway."""
        with suppress(Exception):
            await self.leave()

    def forget(self) -> None:
        """The list may be another one now: join again."""
        self.listed = False

    def leave_later(self) -> None:
        """Leave without being waited for."""
        self._later(self.leave())

    def wake_another(self, shape: QueueShape, position: int) -> None:
        """There is more above ``position`` than this worker can take."""
        text = queue_statement("wake_another", shape)
        self._later(self._shared.execute(text, self._queue, self._worker_id, position))

    async def _connected(self, _connection: asyncpg.Connection) -> None:
        """The server may have crashed, and its list is gone then."""
        self.listed = False

    def _later(self, work: Coroutine[Any, Any, object]) -> None:
        self._unawaited = new_task(work)
        self._unawaited.add_done_callback(lambda done: done.cancelled() or done.exception())
