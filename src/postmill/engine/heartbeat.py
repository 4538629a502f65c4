"""Keeps workers alive in the database, on a thread and a connection of its own: a handler that blocks the
event loop loses no lease.

Every third of a lease: renew what is held. At least every five seconds: a sign of life, which brings back
cancel requests and an operator's wish that the worker should drain; give back what the worker was never told
of; give back what other, dead workers held, after a second look where one may be dead. Now and then: prune.
The thread talks to the event loop only through ``call_soon_threadsafe``, and reads the ledger.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg

from postmill.db.shared_connection import SharedConnection
from postmill.engine.pruner import Pruner
from postmill.model.events import Event
from postmill.model.message import State
from postmill.service.outage import OutageBackoff
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from postmill.engine.ledger import Ledger
    from postmill.model.address import Address
    from postmill.model.message import Message
    from postmill.model.queue_name import QueueShape
    from postmill.model.worker_options import WorkerOptions
    from postmill.service.events import Events
    from postmill.service.outage import Outage

PERIOD_S = 5.0
"""A sign of life comes at least so often."""
SILENT_S = 6.0
"""Who has been silent for longer is taken for dead (``postmill.rescue``)."""
TICK_S = 1.0
"""How often the event loop shows that it has a turn."""
GRACE_S = SILENT_S
"""Who was cut off itself judges others only when it has been back for so long: they may have been as well."""
SUSPICION_S = 1.1
"""Workers that may be gone are judged so soon: their locks must have been free for a second."""


@dataclass(slots=True)
class WatchedWorker:
    """One worker as the heartbeat sees it. The callbacks are called on the event loop."""

    worker_id: UUID
    function_name: str
    version: str
    options: WorkerOptions
    shape: QueueShape
    ledger: Ledger
    events: Events
    outage: Outage
    running_ids: Callable[[], list[int]]
    on_lost: Callable[[Message], None]
    on_cancel: Callable[[int], None]
    on_deprecated: Callable[[], None]
    let_go: bool = False
    """The event loop has been blocked for too long: nothing is renewed any more."""

    @property
    def lock_key(self) -> int:
        """The session advisory lock that shows the worker is alive."""
        return self.worker_id.int >> 65


def next_beat_s(chance: float) -> float:
    """Seconds until the next sign of life is due; ``chance`` from 0 to 1 spreads the workers. It may be
    late by a renewal and a pruning, which have the connection before it, and must come within ``SILENT_S``.
    """
    return PERIOD_S * (0.8 + 0.1 * chance)


class Heartbeat:
    """The thread. ``start`` returns when the workers are announced; ``stop`` when their end is noted."""

    def __init__(self, address: Address, workers: Sequence[WatchedWorker]) -> None:
        self._address = address
        self._workers = workers
        self._loop = asyncio.get_running_loop()
        self._announced = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="postmill heartbeat", daemon=True)
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._reason = ""
        self._lease_s = min(worker.options.lease_s for worker in workers)
        self.loop_seen = time.monotonic()
        """When the event loop last had a turn."""
        self.in_touch = False
        """The database answered when it was last asked."""
        self._ticker: asyncio.TimerHandle | None = None
        self._judges_from: float | None = None
        """By the monotonic clock; None before the first connection."""
        self._suspects = False
        """Some of the workers that hold messages may be gone."""

    async def start(self, timeout_s: float | None = None) -> None:
        """Begin, and wait until the workers are announced in the database."""
        self._tick()
        self._thread.start()
        async with asyncio.timeout(timeout_s):
            await self._announced.wait()

    async def stop(self, reason: str, timeout_s: float = 5.0) -> None:
        """Write down the workers' end and close the connection; give up after ``timeout_s``."""
        self._reason = reason
        if self._ticker is not None:
            self._ticker.cancel()
        if self._own_loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # its loop has ended already
                self._own_loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join, timeout_s)

    def _tick(self) -> None:
        self.loop_seen = time.monotonic()
        self._ticker = self._loop.call_later(TICK_S, self._tick)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._own_loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        shared = SharedConnection(self._address, "heartbeat", timeout_s=max(1.0, self._lease_s / 2))
        shared.on_connect(self._announce)
        backoff = OutageBackoff(self._workers[0].outage)
        backoff.hurry = self._stop
        pruner = Pruner(shared, self._workers[0].events)
        beat_at = 0.0
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                await self._renew(shared)
                if started >= beat_at:
                    await self._beat(shared)
                    self.in_touch = True
                    wait_s = SUSPICION_S if self._suspects else next_beat_s(random.random())  # noqa: S311
                    beat_at = started + wait_s
                self._call(self._announced.set)
                if started >= pruner.due_at:
                    await pruner.run_once()
                backoff.worked()
            except Exception as error:
                self.in_touch, beat_at = False, 0.0
                await backoff.failed(error)
                continue
            next_at = min(beat_at, pruner.due_at)
            pause = min(self._lease_s / 3, PERIOD_S, max(0.0, next_at - time.monotonic()))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()
        await self._note_end(shared)

    async def _announce(self, connection: asyncpg.Connection) -> None:
        now = time.monotonic()
        self._judges_from = now if self._judges_from is None else now + GRACE_S
        for worker in self._workers:
            held = not self._address.pooled and await connection.fetchval(
                statement("worker_lock"), worker.lock_key, timeout=5
            )
            await connection.execute(
                statement("worker_start"),
                worker.worker_id,
                worker.options.queue,
                worker.function_name,
                socket.gethostname(),
                os.getpid(),
                worker.version,
                worker.options.max_concurrent,
                worker.lock_key if held else None,
                timeout=5,
            )

    async def _renew(self, shared: SharedConnection) -> None:
        blocked_s = time.monotonic() - self.loop_seen
        for worker in self._workers:
            if blocked_s > worker.options.max_blocked_s:
                await self._let_go(shared, worker, blocked_s)
                continue
            worker.let_go = False
            due = worker.ledger.older_than(time.monotonic() - worker.options.lease_s / 4)
            if due:
                await self._renew_messages(shared, worker, due)

    async def _renew_messages(
        self, shared: SharedConnection, worker: WatchedWorker, messages: list[Message]
    ) -> None:
        messages.sort(key=lambda message: message.msg_id)
        by_id = {message.msg_id: message for message in messages}
        sent_at = time.monotonic()
        worker.ledger.renewing = frozenset(by_id)
        try:
            rows = await shared.fetch(
                queue_statement("renew", worker.shape),
                [message.msg_id for message in messages],
                [message.read_ct for message in messages],
                [message.vt_us for message in messages],
                timedelta(seconds=worker.options.lease_s),
            )
            for row in rows:
                message = by_id[row["msg_id"]]
                if row["vt_us"] is not None:
                    worker.ledger.renewed(message, row["vt_us"], sent_at)
                elif not row["held"] and message.state == State.HELD:
                    self._call(worker.on_lost, message)
        except asyncpg.UndefinedTableError:  # the queue was dropped; the other workers' leases go on
            for message in messages:
                self._call(worker.on_lost, message)
        finally:
            worker.ledger.renewing = frozenset()

    async def _beat(self, shared: SharedConnection) -> None:
        others_hold = False
        for worker in self._workers:
            running = worker.running_ids()
            row = await shared.fetchrow(
                statement("worker_heartbeat"),
                worker.worker_id,
                len(running),
                worker.options.queue,
                running,
                worker.ledger.receipts,
                worker.options.lease_s,
            )
            if not row["known"]:
                async with shared.connection() as connection:
                    await self._announce(connection)
            if row["deprecated"]:
                self._call(worker.on_deprecated)
            for msg_id in row["cancelled"]:
                self._call(worker.on_cancel, msg_id)
            if row["forgotten"]:
                await self._give_back_forgotten(shared, worker)
            others_hold = others_hold or row["others_hold"]
        self._suspects = False
        if others_hold and self._judges_from is not None and time.monotonic() >= self._judges_from:
            await self._rescue(shared)

    async def _give_back_forgotten(self, shared: SharedConnection, worker: WatchedWorker) -> None:
        """Claims that were committed while their connection was cut: this worker was never told of them."""
        known = worker.ledger.receipts
        rows = await shared.fetch(
            statement("give_back"),
            worker.worker_id,
            known,
            worker.options.lease_s,
            "lost_lease",
            "the worker was never told of its claim",
        )
        for row in rows:
            worker.events.emit(
                Event.CLAIMS_RESCUED, messages=len(row["msg_ids"]), reason="claim without an answer"
            )

    async def _let_go(self, shared: SharedConnection, worker: WatchedWorker, blocked_s: float) -> None:
        """A loop that hangs will not finish anything: its messages go to others, and the hang counts as an
        attempt.
        """
        if worker.let_go:
            return
        reason = f"the event loop was blocked for {blocked_s:.0f} s"
        await shared.fetch(statement("give_back"), worker.worker_id, [], 0.0, "crash", reason)
        worker.let_go = True
        worker.events.emit(Event.WORKER_BLOCKED, blocked_s=round(blocked_s), reason=reason)

    async def _rescue(self, shared: SharedConnection) -> None:
        for row in await shared.fetch(statement("rescue"), 100):
            if row["msg_ids"] is None:
                self._suspects = True
                continue
            self._workers[0].events.emit(
                Event.CLAIMS_RESCUED,
                of_queue=row["queue_name"],
                dead_worker=str(row["worker_id"])[:8],
                messages=len(row["msg_ids"]),
            )

    async def _note_end(self, shared: SharedConnection) -> None:
        with suppress(Exception):
            for worker in self._workers:
                await shared.execute(statement("worker_stop"), worker.worker_id, self._reason)
        await shared.close()

    def _call(self, action: Callable[..., object], *args: object) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(action, *args)
