"""Writes the workers' heartbeats, and returns news for each worker: cancel requests, an operator's request to
drain, claims whose answer was lost, whether another worker may be gone, and whether messages wait for others.

Runs on the thread and the connection of ``engine.maintain.maintenance``, after the renewals.
"""

from __future__ import annotations

import os
import random
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from postmill.model.events import Event
from postmill.model.queue import silence
from postmill.service.timed import TimedService
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import asyncpg

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.maintain.maintained_worker import MaintainedWorker
    from postmill.service.events import Events

PERIOD_S = silence.IDLE_BEAT_S
"""The longest time between two heartbeats."""
ANNOUNCE_TIMEOUT_S = 5.0
"""How long one statement on a new connection may take, in seconds. Renewals wait for it, so it is as long as
opening the connection may take (``db.hot.shared_connection.CONNECT_TIMEOUT_S``).
"""
NEVER_TOLD = "the worker was never told of its claim"


class Heartbeat(TimedService):
    """The heartbeats of one process. ``call`` runs a callback on the event loop; ``on_doubt`` is called when
    another worker may be gone, ``on_dependents`` each time, with whether messages may wait for others.
    """

    def __init__(
        self,
        shared: SharedConnection,
        workers: Sequence[MaintainedWorker],
        call: Callable[..., None],
        on_doubt: Callable[[], None],
        on_dependents: Callable[[bool], None],
        events: Events,
        *,
        pooled: bool,
    ) -> None:
        super().__init__(events)
        self._shared = shared
        self._workers = workers
        self._on_loop = call
        self._on_doubt = on_doubt
        self._on_dependents = on_dependents
        self._pooled = pooled
        self._chance = random.random()  # noqa: S311 - spreads the workers
        self._beaten_at: float | None = None

    @property
    def due_at(self) -> float:
        """When to call :meth:`run_once` next, by the monotonic clock: sooner as soon as a worker holds
        messages.
        """
        if self._beaten_at is None:
            return 0.0
        waits = (
            silence.beat_s(worker.options.lease_s, holding=worker.holding, chance=self._chance)
            for worker in self._workers
        )
        return self._beaten_at + min(PERIOD_S, *waits)

    def hurry(self) -> None:
        """The database could not be reached: the next heartbeat is due at once."""
        self._beaten_at = None
        self.wake()

    async def run_once(self) -> bool:
        """Write one heartbeat of each worker."""
        began = time.monotonic()
        for worker in self._workers:
            await self._beat(worker)
        self._chance = random.random()  # noqa: S311
        self._beaten_at = began
        return False

    async def announce(self, connection: asyncpg.Connection) -> str:
        """Put each worker on record, with the lock that this new connection holds for it. Returns the
        server's clock.
        """
        now = ""
        for worker in self._workers:
            worker.lock_held = not self._pooled and await _locked(connection, worker)
            now = str(
                await connection.fetchval(
                    statement("worker_start"),
                    worker.worker_id,
                    worker.options.queue,
                    worker.function_name,
                    socket.gethostname(),
                    os.getpid(),
                    worker.version,
                    worker.options.max_concurrent,
                    worker.lock_key if worker.lock_held else None,
                    timedelta(seconds=worker.options.lease_s),
                    worker.options.on_success == "delete",
                    timeout=ANNOUNCE_TIMEOUT_S,
                )
            )
        return now

    async def _beat(self, worker: MaintainedWorker) -> None:
        if not worker.lock_held and not self._pooled:
            row = await self._shared.fetchrow(statement("worker_lock"), worker.lock_key)
            worker.lock_held = row["held"]
        running = worker.running_ids()
        row = await self._shared.fetchrow(
            statement("worker_heartbeat"),
            worker.worker_id,
            len(running),
            worker.options.queue,
            running,
            worker.held_messages.claim_ids,
            worker.options.lease_s,
            silence.write_after_s(worker.options.lease_s, holding=worker.holding),
            worker.lock_key if worker.lock_held else None,
        )
        if not row["known"]:
            async with self._shared.connection() as connection:
                await self.announce(connection)
        if row["deprecated"]:
            self._on_loop(worker.on_deprecated)
        for msg_id in row["cancelled"]:
            self._on_loop(worker.on_cancel, msg_id)
        if row["forgotten"]:
            await self._give_back_forgotten(worker)
        if row["in_doubt"]:
            self._on_doubt()
        self._on_dependents(row["dependents"])

    async def _give_back_forgotten(self, worker: MaintainedWorker) -> None:
        """Give back claims that were committed while their connection was cut: the worker never got their
        answer.
        """
        known = worker.held_messages.claim_ids
        lease_s = worker.options.lease_s
        rows = await self._shared.fetch(
            statement("give_back"), worker.worker_id, known, lease_s, "lost_lease", NEVER_TOLD
        )
        for row in rows:
            worker.events.emit(
                Event.CLAIMS_RESCUED, messages=len(row["msg_ids"]), reason="claim without an answer"
            )


async def _locked(connection: asyncpg.Connection, worker: MaintainedWorker) -> bool:
    """Take the worker's session lock. A session of the worker that still holds it, because its connection was
    cut, is ended first.
    """
    for _ in range(2):
        if await connection.fetchval(statement("worker_lock"), worker.lock_key, timeout=ANNOUNCE_TIMEOUT_S):
            return True
        await connection.fetchval(statement("worker_unlock"), worker.lock_key, timeout=ANNOUNCE_TIMEOUT_S)
    return False
