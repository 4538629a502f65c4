"""Runs workers until they are asked to stop: connections, queues, notifications, heartbeat, and the order in
which all of it ends.
"""

from __future__ import annotations

import asyncio
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg

from postmill.client.asyncpg_connection import with_known_pooler
from postmill.client.failures import said_by_postmill
from postmill.db.hot.handler_connections import HandlerConnections
from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import BRIEF, SETTLING, SharedConnection
from postmill.engine.claim.listener import NO_ECHO, Listener, say_polling
from postmill.engine.claim.wakeups import Wakeups
from postmill.engine.maintain.declarations import declare, declare_schedule
from postmill.engine.maintain.maintenance import Maintenance
from postmill.engine.place import ALONE, Place
from postmill.engine.replacing import replace_older
from postmill.engine.waiting_figures import schedule_figures
from postmill.engine.worker import CANCEL_GRACE_S, FLUSH_S, QueueWorker, find_shape
from postmill.model.config.address import Address
from postmill.model.config.connections import plan_connections
from postmill.model.config.release import Release
from postmill.model.database_errors import queue_not_made
from postmill.model.errors import InvalidOption, QueueNotFound, WorkerFailed
from postmill.model.events import Event
from postmill.service.events import Events
from postmill.service.forks import keep_to_this_process
from postmill.service.outage import Outage, OutageBackoff
from postmill.service.service import new_task
from postmill.service.threaded import check_threads
from postmill.sql.catalog import preload, statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from postmill.engine.handler import Handler
    from postmill.model.queue.queue_name import QueueShape
    from postmill.service.service import Service

    MakeService: TypeAlias = Callable[[SharedConnection, Events, Outage], Service]

_T = TypeVar("_T")

STOP_S = CANCEL_GRACE_S + 2 * FLUSH_S
"""How long a stop may take beside the grace, in seconds: cancelling, and writing outcomes and dead letters.
An engine that can't go on, and that no caller stops, gives up what it holds after this time.
"""

GIVEN_STOP_S = CANCEL_GRACE_S
"""How long the batch in hand of a service that the engine was given may take at the stop, before it is cut:
as long as a handler that was cancelled may take.
"""


class Engine:
    """Several workers in one process, on one set of connections. ``start`` and ``stop`` may be called in any
    order, and again.
    """

    failure: WorkerFailed | None = None
    """Why this process can't go on."""
    _connections: HandlerConnections | None = None
    _maintenance: Maintenance | None = None
    _listener: Listener | None = None
    _starting: asyncio.Task[None] | None = None
    _stopped = False

    def __init__(
        self,
        handlers: Sequence[Handler],
        address: Address,
        services: Sequence[MakeService] = (),
        place: Place = ALONE,
    ) -> None:
        """``services``: make further background services. They share the connection for claims, start after
        the workers and end with them; they are supervised, and readiness sees them, as the engine's own.
        ``place``: where it stands among several databases.
        """
        if not handlers:
            raise InvalidOption(
                "There is no worker to run.", hint="Name one: postmill worker run module:name"
            )
        self._handlers = handlers
        self._address = address
        self._place = place
        self._make_given = tuple(services)
        self._given: list[Service] = []
        self.events = Events(function="postmill", queue=place.name_of("*"))
        """The emitter of events that concern the whole process, and no single worker."""
        self._outage = Outage(self.events, is_passing)
        self.workers: list[QueueWorker] = []
        self._shared: list[SharedConnection] = []
        self._order = asyncio.Lock()
        self._force = asyncio.Event()
        self._ended = asyncio.Event()
        self.started = asyncio.Event()
        """Set when every worker claims."""
        self.release = Release()
        """What the workers are on record with, and which others they replace: set before the start."""
        self.on_worker: list[Callable[[QueueWorker], None]] = []
        """Called with each worker before it begins."""
        self._over = asyncio.Event()
        self.on_over: list[Callable[[], object]] = []
        """Called when this process should end: every worker is deprecated, or a service has failed for
        good.
        """

    async def start(self) -> None:
        """Connect (waiting for a server that is not there yet), create missing queues, and begin. Raises
        :class:`Refused` where the heartbeat can have no thread.
        """
        check_threads()
        async with self._order:
            if self.workers or self._stopped:
                return
            self._starting = new_task(self._begin())
            try:
                await self._starting
            except asyncio.CancelledError:
                if not self._stopped:
                    raise

    async def stop(self, reason: str = "shutdown") -> None:
        """Drain every worker and close every connection. A second call waits for the first. A start that is
        under way is given up.
        """
        self._stopped = True
        if self._starting is not None and not self.started.is_set():
            self._starting.cancel()
        async with self._order:
            if self._ended.is_set():
                return
            given = [new_task(service.stop_within(GIVEN_STOP_S)) for service in self._given]
            await asyncio.gather(
                *given, *(new_task(worker.stop(force=self._force)) for worker in self.workers)
            )
            if self._maintenance is not None:
                await self._maintenance.end(reason)
            if self._listener is not None:
                await self._listener.stop()
            if self._connections is not None:
                await self._connections.close()
            for shared in self._shared:
                await shared.close()
            for worker in self.workers:
                worker.events.emit(Event.WORKER_STOPPED, reason=reason, settled=worker.settler.settled)
            self._ended.set()

    async def _begin(self) -> None:
        keep_to_this_process(asyncio.get_running_loop())
        preload()  # later there may be no file descriptor left, or other files
        claims, settlements = await self._connect()
        for handler in self._handlers:
            await self._once_up(partial(declare, handler, claims))
        shapes = await self._once_up(lambda: self._shapes(claims))
        for handler, shape in zip(self._handlers, shapes, strict=True):
            self.workers.append(self._worker(handler, shape, claims, settlements))
        for tell in self.on_worker:
            for worker in self.workers:
                tell(worker)
        await asyncio.gather(*(worker.begin_backend() for worker in self.workers))
        maintained = [worker.maintained(self.release.version(version("postmill"))) for worker in self.workers]
        self._maintenance = Maintenance(self._address, maintained, self.events, self._outage)
        self._maintenance.on_giving_up.append(self._can_not_go_on)
        self._maintenance.start()
        await self._maintenance.announced.wait()
        await self._listen(claims)
        for worker in self.workers:
            await self._once_up(partial(declare_schedule, worker, claims))
        for worker in self.workers:
            worker.on_deprecated.append(self._deprecated)
            worker.start()
        for service in self._on_this_loop:
            service.on_giving_up.append(self._can_not_go_on)
        for make in self._make_given:
            self.add(make)
        await self._once_up(partial(replace_older, self.workers, claims, self.events, self.release))
        self.started.set()

    def add(self, make: MakeService) -> None:
        """Run one more background service, as those that were given."""
        service = make(self._shared[0], self.events, self._outage)
        service.on_giving_up.append(self._can_not_go_on)
        self._given.append(service)
        service.start()

    def _worker(
        self, handler: Handler, shape: QueueShape, claims: SharedConnection, settlements: SharedConnection
    ) -> QueueWorker:
        assert self._connections is not None  # noqa: S101
        connections, outage = self._connections, self._outage
        return QueueWorker(handler, shape, claims, settlements, connections, outage, self._place)

    def force(self) -> None:
        """End the grace of a stop that is under way: cancel what still runs."""
        self._force.set()

    async def wait_over(self) -> None:
        """Until this process should end: an operator has deprecated every worker of it, or it can't go on."""
        await self._over.wait()

    @property
    def services(self) -> list[Service]:
        """Everything that works in the background, on this event loop and on the heartbeat's thread."""
        thread = [] if self._maintenance is None else [self._maintenance]
        return [*thread, *self._on_this_loop]

    @property
    def _on_this_loop(self) -> list[Service]:
        own: list[Service] = [service for worker in self.workers for service in worker.services]
        own += [worker.backend for worker in self.workers if worker.backend is not None]
        listener = [] if self._listener is None else [self._listener]
        return [*own, *listener, *self._given]

    @property
    def statements(self) -> int:
        """Statements sent so far to claim and to settle; not those of the heartbeat and of handlers."""
        return sum(shared.statements for shared in self._shared)

    async def schedule_figures(self) -> Mapping[str, Any]:
        """See :func:`~postmill.engine.waiting_figures.schedule_figures`."""
        return await schedule_figures(self._shared[0])

    async def is_work_left(self) -> bool:
        """Whether a worker could run a message of its queues now. Raises what asyncpg raises."""
        queues = [handler.options.queue for handler in self._handlers]
        return bool((await self._shared[0].fetchrow(statement("work_left"), queues))["is_left"])

    @property
    def not_ready(self) -> str | None:
        """Why this process should get no more work just now; None when all is well."""
        if self._stopped:
            return "stopping"
        if not self.started.is_set() or self._maintenance is None:
            return "starting"
        if not self._maintenance.in_touch:
            return "the database does not answer"
        if self._is_deprecated:
            return "deprecated"
        troubles = [service.trouble for service in self.services]
        return next(filter(None, [*troubles, *(worker.away for worker in self.workers)]), None)

    @property
    def running(self) -> int:
        """Messages that run now."""
        return sum(worker.dispatcher.running for worker in self.workers)

    @property
    def _is_deprecated(self) -> bool:
        return all(worker.draining.is_set() for worker in self.workers)

    def _deprecated(self) -> None:
        if self._is_deprecated:
            self._end()

    def _can_not_go_on(self, service: Service) -> None:
        self.failure = self.failure or WorkerFailed(
            f"A worker's {service.name} has failed for good.",
            why=service.trouble or "",
            hint="Its log says what it met. Start the process again, and report a bug.",
        )
        if self._maintenance is not None:
            longest_s = max(handler.options.grace_s for handler in self._handlers) + STOP_S
            self._maintenance.end_within(longest_s, "failed")
        self._end()

    def _end(self) -> None:
        self._over.set()
        for tell in self.on_over:
            tell()

    async def _connect(self) -> tuple[SharedConnection, SharedConnection]:
        """The connections for claims and for settlements, once the server answers."""
        self._address = await self._once_up(lambda: with_known_pooler(self._address))
        allowed = max(handler.options.max_pg_connections for handler in self._handlers)
        plan = plan_connections(allowed, listen_elsewhere=self._address.direct_url is not None)
        lease_s = min(handler.options.lease_s for handler in self._handlers)
        timeout_s = max(1.0, lease_s / 2)
        # Claims skip locked rows. A locked table delays its own queue only.
        limit = BRIEF if plan.settlements_apart else SETTLING
        claims = SharedConnection(self._address, "claims", timeout_s=timeout_s, lock_limit=limit)
        settlements = SharedConnection(self._address, "settlements", timeout_s=timeout_s, lock_limit=SETTLING)
        self._shared = [claims, settlements] if plan.settlements_apart else [claims]
        self._plan = plan
        shared = settlements if plan.settlements_apart else claims
        self._connections = HandlerConnections(self._address, plan.handlers, shared, self._outage)
        return claims, shared

    async def _once_up(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """The result of ``work``, tried again until the database answers: a worker also starts in an
        outage.
        """
        backoff = OutageBackoff(self._outage)
        while True:
            try:
                done = await work()
            except Exception as error:
                if not is_passing(error):
                    raise
                await backoff.failed(error)
            else:
                backoff.worked()
                return done

    async def _shapes(self, shared: SharedConnection) -> list[QueueShape]:
        return [await self._shape(shared, handler.options.queue) for handler in self._handlers]

    async def _shape(self, shared: SharedConnection, queue: str) -> QueueShape:
        try:
            return await find_shape(shared, queue)
        except QueueNotFound:
            await self._make(shared, queue)
            return await find_shape(shared, queue)

    async def _make(self, shared: SharedConnection, queue: str) -> None:
        try:
            with said_by_postmill(queue):
                await shared.execute(statement("queue_create"), queue)
        except asyncpg.InsufficientPrivilegeError as error:
            raise queue_not_made(queue, str(error)) from error

    async def _listen(self, claims: SharedConnection) -> None:
        """Listen on the claims' connection, on a direct address beside a pooler, or not at all."""
        workers = [worker for worker in self.workers if worker.handler.options.poller != "poll"]
        if not workers:
            return
        if not self._address.pooled:
            wakeups = Wakeups(claims)
            for worker in workers:
                wakeups.subscribe(worker.claimer, worker.handler.options.queue)
            if not await self._once_up(wakeups.begin):
                say_polling(workers, NO_ECHO)
                return
            for worker in workers:
                worker.claimer.notified = True
        elif self._address.direct_url is None:
            say_polling(workers, "behind a pooler in transaction mode, and no listen_url is given")
        elif not self._plan.listen_apart:
            say_polling(workers, "max_pg_connections leaves no connection for listen_url: it takes 3")
        else:
            self._listener = Listener(Address(url=self._address.direct_url), workers, self.events)
            await self._listener.run_once()
            self._listener.start()
