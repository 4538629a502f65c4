"""Keeps workers alive in the database, on a thread and a connection of its own: a handler that blocks the
event loop loses no lease.

Four services take turns there: renewer, heartbeat, rescuer, pruner. Whatever is due, a renewal goes first.
The thread talks to the event loop only through ``call_soon_threadsafe``, and reads `HeldMessages`. It is
supervised: an unexpected error is logged and the services begin anew, and :attr:`Maintenance.in_touch` shows
that it lives.
"""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import asyncpg

from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import BRIEF, SharedConnection
from postmill.engine.maintain.heartbeat import Heartbeat
from postmill.engine.maintain.pruner import Pruner
from postmill.engine.maintain.renewer import Renewer
from postmill.engine.maintain.rescuer import Rescuer
from postmill.engine.run.loop_watch import TICK_S, LoopWatch
from postmill.model.events import Event
from postmill.model.queue import silence
from postmill.service.backoff import Backoff
from postmill.service.outage import OutageBackoff
from postmill.service.service import MAX_FRUITLESS
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.engine.maintain.maintained_worker import MaintainedWorker
    from postmill.model.config.address import Address
    from postmill.service.events import Events
    from postmill.service.outage import Outage


class TimedService(Protocol):
    """What takes turns on the thread."""

    @property
    def due_at(self) -> float:
        """When to call :meth:`run_once` next, by the monotonic clock."""

    async def run_once(self) -> bool:
        """One bounded batch."""


class Maintenance:
    """The thread. ``start`` returns when the workers are announced; ``stop`` when their end is noted."""

    def __init__(
        self, address: Address, workers: Sequence[MaintainedWorker], events: Events, outage: Outage
    ) -> None:
        """``events`` and ``outage``: those of the process."""
        self._address = address
        self._workers = workers
        self._events = events
        self._outage = outage
        self._loop = asyncio.get_running_loop()
        self._loop_thread_id = threading.get_ident()
        self._announced = asyncio.Event()
        self._over = asyncio.Event()
        self._ends_at = math.inf
        self._fruitless = 0
        self.on_giving_up: list[Callable[[BaseException], object]] = []
        """Called on the event loop when the heartbeat fails again and again, and no database is to blame."""
        self._thread = threading.Thread(target=self._run, name="postmill heartbeat", daemon=True)
        self._stopping = threading.Event()
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._woken: asyncio.Event | None = None
        self._reason = ""
        self._lease_s = min(worker.options.lease_s for worker in workers)
        self._ticker: asyncio.TimerHandle | None = None
        self._tick_s = min(
            [TICK_S, *(w.options.lease_s / 20 for w in workers if w.options.on_silence == "stop")]
        )
        self._answered_at: float | None = None
        self._connected_before = False
        self.loop_seen = time.monotonic()
        """When the event loop last had a turn."""

    @property
    def in_touch(self) -> bool:
        """Whether the database has answered the last heartbeat, and that was not long ago: also a thread that
        has ended, or hangs, is not in touch.
        """
        answered_at = self._answered_at
        return answered_at is not None and time.monotonic() - answered_at < silence.SHOWN_S

    async def start(self, timeout_s: float | None = None) -> None:
        """Begin, and wait until the workers are announced in the database."""
        self._tick()
        self._thread.start()
        async with asyncio.timeout(timeout_s):
            await self._announced.wait()

    def end_within(self, seconds: float, reason: str) -> None:
        """Whatever becomes of the event loop, the signs of life and the renewals end so soon."""
        self._reason = reason
        self._ends_at = time.monotonic() + seconds

    async def stop(self, reason: str, timeout_s: float = 5.0) -> None:
        """Write down the workers' end and close the connection; give up after ``timeout_s``."""
        self._reason = reason
        if self._ticker is not None:
            self._ticker.cancel()
        self._stopping.set()
        if self._own_loop is not None and self._woken is not None:
            with suppress(RuntimeError):  # its loop has ended already
                self._own_loop.call_soon_threadsafe(self._woken.set)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s if self._thread.is_alive() else 0):
                await self._over.wait()

    # on the event loop

    def _tick(self) -> None:
        self._ticker = self._loop.call_later(self._tick_s, self._tick)
        self.loop_seen = now = time.monotonic()
        for worker in self._workers:
            if worker.options.on_silence == "stop":
                for message in worker.held_messages.older_than(
                    now - silence.told_after_s(worker.options.lease_s)
                ):
                    worker.on_silence(message)

    # on the thread

    def _run(self) -> None:
        backoff = Backoff(random.random)
        while not self._ended():
            try:
                asyncio.run(self._main())
            except BaseException as error:
                self._report(error)
                self._stopping.wait(backoff.next_delay_s())
        self._call(self._over.set)

    def _ended(self) -> bool:
        """Whether the workers of this thread have come to an end: without their event loop, or without one of
        their services, nothing of theirs lives, and a heartbeat would lie.
        """
        return self._stopping.is_set() or self._loop.is_closed() or time.monotonic() >= self._ends_at

    async def _main(self) -> None:
        self._own_loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        timeout_s = max(1.0, self._lease_s / 2)
        shared = HeartbeatConnection(self._address, "heartbeat", timeout_s=timeout_s, lock_limit=BRIEF)
        renewer = Renewer(shared, self._workers, self._call, lambda: time.monotonic() - self.loop_seen)
        rescuer = Rescuer(shared, self._workers, self._events)
        heartbeat = Heartbeat(shared, self._workers, self._call, rescuer.doubt, pooled=self._address.pooled)
        pruner = Pruner(shared, self._events)
        watching = asyncio.create_task(self._watch_loop())
        shared.on_connect(lambda connection: self._connected(connection, heartbeat, rescuer))
        backoff = OutageBackoff(self._outage)
        backoff.hurry = self._woken
        try:
            while not self._ended():
                try:
                    if await self._turn((renewer, heartbeat, rescuer, pruner)) is heartbeat:
                        self._answered_at, self._fruitless = time.monotonic(), 0
                        self._call(self._announced.set)
                        backoff.worked()
                except BaseException as error:
                    self._answered_at = None
                    self._count(error)
                    renewer.hurry()
                    heartbeat.hurry()
                    await backoff.failed(error)
            await self._note_end(shared)
        finally:
            watching.cancel()
            shared.abandon()

    async def _watch_loop(self) -> None:
        """Until cancelled. From the moment that it is to end, the loop shows no turn any more."""
        workers, thread_id = self._workers, self._loop_thread_id
        seen = lambda: time.monotonic() if self._ended() else self.loop_seen  # noqa: E731 - read at each look
        await LoopWatch(workers, self._events, seen, thread_id).run()

    async def _turn(self, services: Sequence[TimedService]) -> TimedService | None:
        """Run the first service that is due, or wait for a moment. What is held may change meanwhile, and
        with it what is due, so the wait is short.
        """
        now = time.monotonic()
        for service in services:
            if service.due_at <= now:
                await service.run_once()
                return service
        pause_s = min(
            min(service.due_at for service in services) - now,
            silence.beat_s(self._lease_s, holding=True, chance=0.0),
        )
        assert self._woken is not None  # noqa: S101
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        return None

    async def _connected(
        self, connection: asyncpg.Connection, heartbeat: Heartbeat, rescuer: Rescuer
    ) -> None:
        now = await heartbeat.announce(connection)
        if self._connected_before:
            rescuer.connected_since = now
        self._connected_before = True

    async def _note_end(self, shared: SharedConnection) -> None:
        reason = self._reason or "its event loop ended"
        with suppress(Exception):
            for worker in self._workers:
                await shared.execute(statement("worker_stop"), worker.worker_id, reason)
        await shared.close()

    def _count(self, error: BaseException) -> None:
        if is_passing(error) or isinstance(error, asyncpg.PostgresError | TimeoutError):
            self._fruitless = 0
            return
        self._fruitless += 1
        if self._fruitless == MAX_FRUITLESS + 1:
            for tell in self.on_giving_up:
                self._call(tell, error)

    def _report(self, error: BaseException) -> None:
        self._answered_at = None
        self._count(error)
        with suppress(BaseException):
            reason = f"the heartbeat begins anew after {type(error).__name__}: {error}"
            self._events.emit(Event.WORKER_FAILED, exception=error, reason=reason)

    def _call(self, action: Callable[..., object], *args: object) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(action, *args)


class HeartbeatConnection(SharedConnection):
    """Keeps a connection that has stopped answering until another one has taken its place: with it the server
    may let go of the lock that shows the worker is alive, while a stalled network will soon go on.
    """

    _left: asyncpg.Connection | None = None

    def abandon(self) -> None:
        """Close everything at once, without a word to the server."""
        super()._drop()
        self._forget()

    async def close(self) -> None:
        """See :class:`SharedConnection`."""
        await super().close()
        self._forget()

    async def _open(self) -> asyncpg.Connection:
        connection = await super()._open()
        self._forget()
        return connection

    def _drop(self) -> None:
        self._forget()
        self._left, self._connection = self._connection, None

    def _forget(self) -> None:
        left, self._left = self._left, None
        if left is not None:
            left.terminate()
