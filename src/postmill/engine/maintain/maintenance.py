"""Keeps workers alive in the database, on a thread and a connection of its own: a handler that blocks the
event loop loses no lease.

Seven services take turns there: renewer, heartbeat, rescuer, minute writer, gate sweeper, sweeper, pruner.
When several are due, the renewer goes first. An eighth, the loop watch, works beside them. The thread talks
to the event loop only through ``call_soon_threadsafe``, and reads `HeldMessages` and `MinuteSums`. One that
breaks pauses, and the others go on; where the thread itself breaks, all of them begin anew.
:attr:`Maintenance.in_touch` shows that it lives.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg

from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import BRIEF, SharedConnection
from postmill.engine.maintain.gate_sweeper import GateSweeper
from postmill.engine.maintain.heartbeat import Heartbeat
from postmill.engine.maintain.minute_writer import MinuteWriter, write_sums
from postmill.engine.maintain.pruner import Pruner
from postmill.engine.maintain.renewer import Renewer
from postmill.engine.maintain.rescuer import Rescuer
from postmill.engine.maintain.sweeper import Sweeper
from postmill.engine.run.loop_watch import TICK_S, LoopWatch
from postmill.model.queue import silence
from postmill.service.outage import OutageBackoff
from postmill.service.threaded import ThreadedService
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.engine.maintain.maintained_worker import MaintainedWorker
    from postmill.model.config.address import Address
    from postmill.service.events import Events
    from postmill.service.outage import Outage
    from postmill.service.service import Service
    from postmill.service.timed import TimedService


END_S = 5.0
"""How long recording the workers' end may take, in seconds: as long as opening a connection may take
(``db.hot.shared_connection.CONNECT_TIMEOUT_S``).
"""


class Maintenance(ThreadedService):
    """The thread. Its stop notes the workers' end in the database."""

    def __init__(
        self, address: Address, workers: Sequence[MaintainedWorker], events: Events, outage: Outage
    ) -> None:
        """``events`` and ``outage``: those of the process."""
        super().__init__(events)
        self._address = address
        self._workers = workers
        self._events = events
        self._outage = outage
        self.announced = asyncio.Event()
        """Set when the workers are on record in the database."""
        self._loop_thread_id = threading.get_ident()
        self._ends_at = math.inf
        self._reason = ""
        self._lease_s = min(worker.options.lease_s for worker in workers)
        self._ticker: asyncio.TimerHandle | None = None
        self._tick_s = min(
            [TICK_S, *(w.options.lease_s / 20 for w in workers if w.options.on_silence == "stop")]
        )
        self._duties: tuple[TimedService, ...] = ()
        """What takes turns, by rank."""
        self._watch: LoopWatch | None = None
        self._answered_at: float | None = None
        self._connected_before = False
        self.loop_seen = time.monotonic()
        """When the event loop last had a turn."""

    @property
    def name(self) -> str:
        """See :class:`Service`: its owner ends without a heartbeat, whichever duty has failed."""
        return "heartbeat"

    @property
    def trouble(self) -> str | None:
        """See :class:`Service`: also why one of its duties does no work."""
        parts = self._duties if self._watch is None else (*self._duties, self._watch)
        return super().trouble or next(filter(None, (part.trouble for part in parts)), None)

    @property
    def in_touch(self) -> bool:
        """Whether the database has answered the last heartbeat, and that was a short time ago. A thread that
        has ended or hangs is not in touch either.
        """
        answered_at = self._answered_at
        return answered_at is not None and time.monotonic() - answered_at < silence.SHOWN_S

    def start(self) -> None:
        """See :class:`Service`."""
        if self._ticker is None and not self._stopping:
            self._tick()
        super().start()

    def end_within(self, seconds: float, reason: str) -> None:
        """Heartbeats and renewals end after this time, in seconds, even if the event loop hangs."""
        self._reason = reason
        self._ends_at = min(self._ends_at, time.monotonic() + seconds)

    def ask_to_stop(self) -> None:
        """See :class:`Service`."""
        if self._ticker is not None:
            self._ticker.cancel()
        super().ask_to_stop()

    def is_over(self) -> bool:
        """Whether the workers of this thread have ended. Without their event loop or one of their services
        they do no work, and a heartbeat would be wrong.
        """
        ended = self._owners_loop is not None and self._owners_loop.is_closed()
        return self._stopping or ended or time.monotonic() >= self._ends_at

    async def end(self, reason: str) -> None:
        """Record the workers' end and close the connection; give up after ``END_S``."""
        self._reason = reason
        await self.stop_within(END_S)

    # on the event loop of the workers

    def _tick(self) -> None:
        """A timer and no service: it shows that the loop turns, which a task that waits for its pause after
        another's ``cancel`` would not. It is set again before anything can raise.
        """
        self._ticker = asyncio.get_running_loop().call_later(self._tick_s, self._tick)
        self.loop_seen = now = time.monotonic()
        for worker in self._workers:
            if worker.options.on_silence == "stop":
                for message in worker.held_messages.older_than(
                    now - silence.told_after_s(worker.options.lease_s)
                ):
                    worker.on_silence(message)

    # on the thread

    async def _main(self) -> None:
        timeout_s = max(1.0, self._lease_s / 2)
        shared = HeartbeatConnection(self._address, "heartbeat", timeout_s=timeout_s, lock_limit=BRIEF)
        self._take_up(shared)
        seen = lambda: time.monotonic() if self.is_over() else self.loop_seen  # noqa: E731 - read at each look
        self._watch = watch = LoopWatch(self._workers, self._events, seen, self._loop_thread_id)
        watch.on_giving_up.append(self._part_gave_up)
        watch.start()
        try:
            await self._run()
            await self._note_end(shared)
        finally:
            watch.ask_to_stop()
            shared.abandon()

    def _take_up(self, shared: SharedConnection) -> None:
        """Make the duties, which take turns on one connection."""
        workers, events = self._workers, self._events
        self._backoff = OutageBackoff(self._outage)
        if self._woken is not None:
            self._backoff.hurry = self._woken
        self._renewer = Renewer(
            shared, workers, self._call, lambda: time.monotonic() - self.loop_seen, events
        )
        self._rescuer, sweeper = Rescuer(shared, workers, events), Sweeper(shared, events)
        self._heartbeat = Heartbeat(
            shared,
            workers,
            self._call,
            self._rescuer.doubt,
            sweeper.told,
            events,
            pooled=self._address.pooled,
        )
        sweepers = GateSweeper(shared, workers, events), sweeper
        writer, pruner = MinuteWriter(shared, workers, events), Pruner(shared, events)
        self._duties = (self._renewer, self._heartbeat, self._rescuer, writer, *sweepers, pruner)
        for duty in self._duties:
            duty.on_giving_up.append(self._part_gave_up)
        shared.on_connect(self._connected)

    async def run_once(self) -> bool:
        """One turn: of the first duty that is due. Returns whether there was one. An error of the database
        concerns all of them: they wait together, and begin again with a renewal and a heartbeat.
        """
        now = time.monotonic()
        duty = next((duty for duty in self._duties if duty.turn_at <= now), None)
        if duty is None:
            return False
        try:
            worked = await duty.take_turn(_is_the_databases)
        except Exception as error:
            self._answered_at = None
            self._renewer.hurry()
            self._heartbeat.hurry()
            await self._backoff.failed(error)
        else:
            if worked and duty is self._heartbeat:
                self._answered_at = time.monotonic()
                self._call(self.announced.set)
                self._backoff.worked()
        return True

    async def rest(self) -> None:
        """Wait until a duty is due. The wait is short, because held messages may change what is due."""
        pause_s = min(
            min(duty.turn_at for duty in self._duties) - time.monotonic(),
            silence.beat_s(self._lease_s, holding=True, chance=0.0),
        )
        assert self._woken is not None  # noqa: S101
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        self._woken.clear()

    async def _connected(self, connection: asyncpg.Connection) -> None:
        now = await self._heartbeat.announce(connection)
        if self._connected_before:
            self._rescuer.connected_since = now
        self._connected_before = True

    async def _note_end(self, shared: SharedConnection) -> None:
        reason = self._reason or "its event loop ended"
        with suppress(Exception):
            await write_sums(shared, self._workers)
        with suppress(Exception):
            for worker in self._workers:
                await shared.execute(statement("worker_stop"), worker.worker_id, reason)
        await shared.close()

    def _part_gave_up(self, part: Service) -> None:
        """Tell the owner which part has failed. The other parts go on until the owner stops this thread."""
        for tell in self.on_giving_up:
            self._call(tell, self)


def _is_the_databases(error: BaseException) -> bool:
    return is_passing(error) or isinstance(error, asyncpg.PostgresError | TimeoutError)


class HeartbeatConnection(SharedConnection):
    """Keeps a connection that has stopped answering until another one has taken its place: if it were closed,
    the server could release the lock that shows that the worker is alive, although a stalled network may soon
    go on.
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
