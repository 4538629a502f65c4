"""One worker: a handler on a queue, with the services that feed it, run it, settle it and keep it alive."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from postmill.engine.claim.claimer import Claimer
from postmill.engine.maintain.audit import Audit
from postmill.engine.maintain.maintained_worker import MaintainedWorker
from postmill.engine.maintain.minute_sums import MinuteSums
from postmill.engine.place import ALONE, Place
from postmill.engine.run.attempt_services import AttemptServices
from postmill.engine.run.dispatcher import Dispatcher
from postmill.engine.run.executor import Executor
from postmill.engine.run.logged_handler import logged
from postmill.engine.run.traced_handler import traced
from postmill.engine.settle.dead_letters import DeadLetterHook
from postmill.engine.settle.settlement import Settlings, Statements
from postmill.engine.settle.settler import Settler
from postmill.engine.settle.statements import OWN
from postmill.model.database_errors import no_such_queue
from postmill.model.events import Event
from postmill.model.queue.message import HeldMessages, State
from postmill.model.queue.outcome import LOST
from postmill.model.queue.queue_name import QueueShape
from postmill.service.events import Events
from postmill.service.service import new_task
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from postmill.db.hot.handler_connections import HandlerConnections
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.handler import Handler
    from postmill.engine.settle.settlement import Settlement
    from postmill.model.queue.message import Message
    from postmill.model.queue.worker_options import WorkerOptions
    from postmill.service.outage import Outage
    from postmill.service.service import Service

CANCEL_GRACE_S = 5.0
"""How long a cancelled handler may take to clean up, in seconds. 5 s: closing files and connections takes
milliseconds. Then it is left behind.
"""
FLUSH_S = 10.0
"""How long a stop waits for outcomes to be written, in seconds, and as long again for dead letters. 10 s: a
restart of the database takes about 5 s.
"""


class QueueWorker:
    """A handler at work. Made with a shape already known; see ``engine.run``."""

    def __init__(
        self,
        handler: Handler,
        shape: QueueShape,
        claims: SharedConnection,
        settlements: SharedConnection,
        connections: HandlerConnections,
        outage: Outage,
        among: Place = ALONE,
    ) -> None:
        self.handler = handler
        self.worker_id = uuid4()
        options = handler.options
        self.place = among.name_of(options.queue)
        self.events = Events(function=handler.name, queue=self.place, worker=str(self.worker_id)[:8])
        held = self.held_messages = HeldMessages()
        events = self.events
        self._claims, self._outage = claims, outage
        statements = _statements(shape, self.worker_id, options)
        settlings = Settlings(OWN, handler.settlings)
        self.settler = Settler(settlements, statements, settlings, held, events, outage)
        services = AttemptServices(self.worker_id, connections, claims, statements, held, events, among.home)
        executor = Executor(traced(logged(handler)), services, settlings)
        self.settler.fail_with(executor.verdicts.refused)
        self.dispatcher = Dispatcher(options, executor, self.settler, among.slots.get(options.queue))
        take, shapes = self.dispatcher, (self._find_shape, self._reshape)
        self.claimer = Claimer(claims, self.worker_id, options, take, held, events, outage, *shapes)
        self.audit = Audit(held, self._places, self.settler.add, options.lease_s, events)
        self.draining = asyncio.Event()
        """Set when an operator has deprecated this worker."""
        self.on_deprecated: list[Callable[[], object]] = []
        self.backend = None if handler.backend is None else handler.backend(self.events)
        """What the handler runs on beside this process."""
        self._sums = MinuteSums()
        self._letters = DeadLetterHook(options.on_dead, self.events)
        self._connect_parts()

    def _connect_parts(self) -> None:
        """What is settled is counted and makes room for more, and what fails is followed by an audit."""
        self.events.counters.append(self._sums.count)
        for service in self.services:
            service.on_failure.append(self._audit_now)
        self.settler.on_dead = self._letters.post
        self.settler.on_settled.append(self._settled)
        self.settler.on_due_in = self._due_in
        self.settler.on_progress = self.dispatcher.wants_more.set
        self.settler.room = self.claimer.room
        self.settler.on_claimed = self.claimer.lanes.claimed_elsewhere
        if self.backend is not None:
            self.backend.on_change.append(self._backend_changed)

    @property
    def services(self) -> tuple[Service, ...]:
        """The worker's background services."""
        return self.settler, self.claimer, self.audit

    @property
    def trouble(self) -> str | None:
        """Why this worker does not do all of its work just now; None when it does."""
        return next((service.trouble for service in self.services if service.trouble is not None), None)

    @property
    def away(self) -> str | None:
        """Why what the handler runs on can't be reached; None when it can."""
        return None if self.backend is None else self.backend.away

    async def begin_backend(self) -> None:
        """Begin what the handler runs on, and wait until it has answered. Raises what refuses the handler."""
        if self.backend is not None:
            self._backend_changed()
            self.backend.start()
            await self.backend.answered()

    def maintained(self, version: str) -> MaintainedWorker:
        """What the heartbeat must know of this worker."""
        return MaintainedWorker(
            worker_id=self.worker_id,
            function_name=self.handler.name,
            version=version,
            options=self.handler.options,
            shape=self.settler.statements.shape,
            held_messages=self.held_messages,
            events=self.events,
            outage=self._outage,
            running_ids=self.dispatcher.running_ids,
            on_lost=self._lost,
            on_silence=self._silenced,
            on_cancel=self._cancel,
            on_deprecated=self._deprecated,
            has_gates=lambda: self.claimer.lanes.gated.active,
            sums=self._sums,
        )

    async def waiting_figures(self) -> Mapping[str, Any]:
        """What waits in the queue, for its metrics; see the statement. Raises what asyncpg raises."""
        options = self.handler.options
        figures: Mapping[str, Any] = await self._claims.fetchrow(
            statement("waiting_figures"), options.queue, options.max_concurrent
        )
        return figures

    def start(self) -> None:
        """Begin to claim."""
        for service in self.services:
            service.start()
        self.events.emit(Event.WORKER_STARTED, max_concurrent=self.handler.options.max_concurrent)

    async def stop(self, *, force: asyncio.Event) -> None:
        """Stop claiming, let running handlers finish within the grace, cancel the rest, write all
        outcomes.
        """
        self.dispatcher.close()
        released = self.dispatcher.take_back()
        self.events.emit(Event.WORKER_DRAINING, running=self.dispatcher.running, released=released)
        await self.claimer.stop()
        await self.claimer.hand_over()
        self.dispatcher.take_back()
        self.dispatcher.tell_all("shutdown")
        await self._quiet_within(self.handler.options.grace_s, force)
        self.dispatcher.cancel_all("shutdown")
        await self._quiet_within(CANCEL_GRACE_S, None)
        if self.backend is not None:
            await self.backend.stop()
            await self._quiet_within(CANCEL_GRACE_S, None)
        await self.audit.stop()
        await self.settler.drain(FLUSH_S)
        await self._letters.drain(FLUSH_S)
        self.handler.close()
        await self.dispatcher.end()

    async def _quiet_within(self, seconds: float, force: asyncio.Event | None) -> None:
        end = time.monotonic() + seconds
        while not self.dispatcher.quiet.is_set() and (force is None or not force.is_set()):
            left_s = end - time.monotonic()
            if left_s <= 0:
                return
            await self._quiet_or(force, left_s)

    async def _quiet_or(self, force: asyncio.Event | None, seconds: float) -> None:
        """May return early: a handler that cancels every task of the process also ends these."""
        waits = [new_task(self.dispatcher.quiet.wait())]
        if force is not None:
            waits.append(new_task(force.wait()))
        _, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()

    def _audit_now(self, _error: BaseException) -> None:
        self.audit.wake()

    def _places(self) -> list[Message]:
        """What has a slot, waits for one, or has an outcome that waits to be written."""
        return [*self.dispatcher.held, *self.settler.held]

    def _settled(self, settlement: Settlement, _settled: list[int]) -> None:
        if settlement.gates:
            self.claimer.settled_gated()
        if settlement.event is Event.MESSAGE_PARKED:
            self.claimer.parked()

    def _backend_changed(self) -> None:
        self.dispatcher.hold_back(away=self.away is not None)

    def _due_in(self, seconds: float) -> None:
        self.claimer.look_in(seconds + 0.001)

    def _lost(self, message: Message) -> None:
        """Another client has the lease: a running handler is told and cancelled, a waiting message is
        dropped.
        """
        if message.state != State.HELD:
            return
        message.state = State.LOST  # logged once, and not renewed any more
        self.events.emit_each(Event.LEASE_LOST, [message])
        slot = self.dispatcher.slot_of(message)
        if slot is not None and self.handler.options.batch is None:
            slot.cancel("lease_lost")
        elif self.dispatcher.forget(message):
            self.settler.add(message, LOST)

    def _silenced(self, message: Message) -> None:
        """The lease of ``message`` may end soon, and the database can't be asked: its handler is stopped
        before that.
        """
        if message.state != State.HELD:
            return
        message.state = State.LOST  # logged once, and not renewed any more
        reason = "no renewal was answered for nine tenths of a lease (on_silence)"
        self.events.emit_each(Event.LEASE_LOST, [message], reason=reason)
        slot = self.dispatcher.slot_of(message)
        if slot is not None:
            slot.cancel("lease_lost")
        elif self.dispatcher.forget(message):
            self.settler.add(message, LOST)

    def _cancel(self, msg_id: int) -> None:
        slot = self.dispatcher.slot_of_id(msg_id)
        if slot is not None:
            slot.cancel("cancelled")

    def _deprecated(self) -> None:
        if not self.draining.is_set():
            self.events.emit(Event.WORKER_DEPRECATED)
            self.dispatcher.close()
            self.dispatcher.take_back()
            self.draining.set()
            for tell in self.on_deprecated:
                tell()

    async def _find_shape(self) -> QueueShape:
        return await find_shape(self._claims, self.handler.options.queue)

    def _reshape(self, shape: QueueShape) -> None:
        self.settler.statements.shape = shape


async def find_shape(shared: SharedConnection, queue: str) -> QueueShape:
    """The shape of a queue's tables. Raises :class:`QueueNotFound`."""
    row = await shared.fetchrow(statement("queue_shape"), queue)
    if row is None:
        raise no_such_queue(queue)
    return QueueShape.of(row)


def _statements(shape: QueueShape, worker_id: UUID, options: WorkerOptions) -> Statements:
    archive = options.on_success == "archive"
    return Statements(shape, worker_id, archive=archive, keep_results=options.keep_results)
