"""Each background service of the product is started, stopped, cancelled and broken, in any order. Afterwards
nothing of it is left, what happened was told, and it has gone on with its work.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import pkgutil
import threading
import time
import types
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

import postmill
from postmill import worker
from postmill.calls.answers import Answers
from postmill.calls.call_queues import CallQueues
from postmill.calls.caller import Caller
from postmill.calls.outbound import Outbound
from postmill.calls.project_secrets import ProjectSecrets
from postmill.db.hot.handler_connections import HandlerConnections
from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine import leaving
from postmill.engine.claim.claimer import Claimer
from postmill.engine.claim.listener import Listener
from postmill.engine.leaving import Leaving
from postmill.engine.maintain import gate_sweeper, minute_writer, pruner, rescuer, sweeper
from postmill.engine.maintain.audit import Audit
from postmill.engine.maintain.gate_sweeper import GateSweeper
from postmill.engine.maintain.heartbeat import Heartbeat
from postmill.engine.maintain.maintenance import Maintenance
from postmill.engine.maintain.minute_writer import MinuteWriter
from postmill.engine.maintain.pruner import Pruner
from postmill.engine.maintain.renewer import Renewer
from postmill.engine.maintain.rescuer import Rescuer
from postmill.engine.maintain.sweeper import Sweeper
from postmill.engine.run import loop_watch
from postmill.engine.run.loop_watch import LoopWatch
from postmill.engine.settle.settler import Settler
from postmill.engine.worker import QueueWorker, find_shape
from postmill.flows.running.keeper import Keeper
from postmill.gateway.trust import KeyRefresher
from postmill.handlers.cluster.driver import Driver
from postmill.handlers.supaworker.bridge import Bridge
from postmill.host import watching
from postmill.host.reload import Reload
from postmill.host.supervisor import Supervisor
from postmill.host.watching import Watch
from postmill.model.calls.address_guard import AddressGuard
from postmill.model.config.address import Address
from postmill.model.config.lifetime import Lifetime
from postmill.model.events import Event
from postmill.operations.executor import Executor
from postmill.scheduler.scheduler import Scheduler
from postmill.scheduler.sql_runs import SqlRuns
from postmill.service import service as services
from postmill.service import threaded, timed
from postmill.service.events import Events
from postmill.service.outage import Outage
from postmill.service.service import MAX_FRUITLESS, Service
from tests import servers
from tests.service.running import GIVE_UP_S
from tests.sql.supaworker import install

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
    from pathlib import Path

    from postmill.calls.call_handler import CallHandler
    from postmill.engine.maintain.maintained_worker import MaintainedWorker
    from postmill.model.calls.call_queue import CallQueue

PLACES = 24
"""A service is broken at so many places of its batch at most: more only meet the driver's own connecting."""


def product_services() -> set[type[Service]]:
    """Every class of the product that can be started."""
    for module in pkgutil.walk_packages(postmill.__path__, "postmill."):
        if not module.name.endswith(("__main__", ".ray_cluster")):  # Ray is not installed here
            importlib.import_module(module.name)
    found, waiting = set(), [Service]
    while waiting:
        kinds = waiting.pop().__subclasses__()
        waiting += kinds
        found |= {kind for kind in kinds if kind.__module__.startswith("postmill.")}
    return {kind for kind in found if not inspect.isabstract(kind)}


@dataclass
class World:
    """What services need around them, and what they say."""

    url: str
    folder: Path
    shared: SharedConnection
    worker: QueueWorker
    outage: Outage
    events: Events
    said: list[dict[str, Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def maintained(self) -> list[MaintainedWorker]:
        return [self.worker.maintained("1")]

    @property
    def address(self) -> Address:
        return Address(self.url)

    def note(self, event: Event, fields: dict[str, Any]) -> None:
        if event == Event.SERVICE_FAILED:
            self.said.append(fields)


async def nothing(*_: object) -> None: ...


async def work_is_left() -> bool:
    return True


def call(action: Callable[..., None], *args: object) -> None:
    action(*args)


def no_handler(queue: CallQueue) -> CallHandler:
    raise AssertionError(queue)


def bridge(world: World) -> Bridge:
    with servers.session(world.url) as db:
        install(db)
    return Bridge(world.shared, world.events, world.outage, queue="tasks", target="tasks", floor_s=15)


SCENES: dict[type[Service], Callable[[World], Service]] = {
    Claimer: lambda world: world.worker.claimer,
    Settler: lambda world: world.worker.settler,
    Audit: lambda world: world.worker.audit,
    Listener: lambda world: Listener(world.address, [world.worker], world.events),
    Leaving: lambda world: Leaving(
        world.shared,
        world.events,
        world.outage,
        workers=lambda: [world.worker],
        is_work_left=work_is_left,
        lifetime=Lifetime(until_empty=True, idle_s=3600),
        leave=world.left.append,
    ),
    Maintenance: lambda world: Maintenance(world.address, world.maintained, world.events, world.outage),
    Renewer: lambda world: Renewer(world.shared, world.maintained, call, lambda: 0.0, world.events),
    Heartbeat: lambda world: Heartbeat(
        world.shared, world.maintained, call, lambda: None, lambda _: None, world.events, pooled=False
    ),
    Rescuer: lambda world: Rescuer(world.shared, world.maintained, world.events),
    MinuteWriter: lambda world: MinuteWriter(world.shared, world.maintained, world.events),
    Pruner: lambda world: Pruner(world.shared, world.events),
    Sweeper: lambda world: Sweeper(world.shared, world.events),
    GateSweeper: lambda world: GateSweeper(world.shared, world.maintained, world.events),
    Keeper: lambda world: Keeper((), world.shared, world.events, world.outage),
    Scheduler: lambda world: Scheduler(world.shared, world.events, world.outage),
    Executor: lambda world: Executor(world.shared, world.events, world.outage),
    SqlRuns: lambda world: SqlRuns(world.shared, world.events, world.outage),
    Answers: lambda world: Answers(world.shared, world.events, world.outage),
    Caller: lambda world: Caller(
        world.shared,
        Outbound(AddressGuard(), None, ProjectSecrets(dict)),
        Answers(world.shared, world.events, world.outage),
        world.events,
        world.outage,
    ),
    CallQueues: lambda world: CallQueues(
        world.shared, world.address, no_handler, world.events, world.outage, functions=True
    ),
    Bridge: bridge,
    Driver: lambda world: Driver("127.0.0.1:1", [], world.events, program=("sleep", "60", "0")),
    LoopWatch: lambda world: LoopWatch(world.maintained, world.events, time.monotonic, threading.get_ident()),
    Supervisor: lambda world: Supervisor(tuple, world.events),
    Reload: lambda world: Reload(Watch(lambda: [world.folder]), lambda _: None, lambda _: None, world.events),
    KeyRefresher: lambda world: KeyRefresher(nothing, 0.05, world.events),
}


class Observed:
    """A service at work, with its completed batches counted."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.batches = 0
        self._completed = service.completed_batch
        service.completed_batch = self._count  # type: ignore[method-assign]

    def _count(self) -> None:
        self._completed()
        self.batches += 1

    def poke(self) -> None:
        """There may be something to do."""
        match self.service:
            case Renewer() | Heartbeat():
                self.service.hurry()
            case Rescuer():
                self.service.doubt()
            case Claimer():
                self.service.poll_now()
            case _:
                self.service.wake()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(GIVE_UP_S):
            while not condition():
                self.poke()
                await asyncio.sleep(0.005)

    async def works(self) -> None:
        """Two more batches: the first may have been under way."""
        before = self.batches
        await self.until(lambda: self.batches >= before + 2)


class Broken(BaseException):
    """What no service catches by itself."""


class Breaker:
    """Ends each second batch of a service: at its beginning, before and after each wait, at its end."""

    def __init__(self, service: Service, error: type[BaseException]) -> None:
        self.breaks = 0
        self.ends = 0
        """Breaks that nothing in the batch has seen to: each ended it."""
        self.over = False
        self._calls = 0
        self._error = error
        self._run_once = service.run_once
        service.run_once = self._broken  # type: ignore[method-assign]

    async def _broken(self) -> bool:
        self._calls += 1
        if self.over or self._calls % 2 == 0:
            return await self._run_once()
        try:
            return await self._break()
        except BaseException:
            self.ends += 1
            raise

    async def _break(self) -> bool:
        place, self.breaks = self.breaks, self.breaks + 1
        self.over = self.breaks == PLACES
        if place > 0:
            if await self._driven(self._run_once(), (place + 1) // 2, before=place % 2 == 1):
                return True  # a part of it has broken, and it saw to that
            self.over = True  # it has no more waits
        raise self._error("broken on purpose")

    @types.coroutine
    def _driven(
        self, work: Coroutine[Any, Any, object], at: int, *, before: bool
    ) -> Generator[Any, Any, bool]:
        """Returns whether there was such a wait."""
        waits, error = 0, None
        while True:
            try:
                waited = work.send(None) if error is None else work.throw(error)
            except StopIteration:
                return waits >= at
            waits, error = waits + 1, None
            if waits == at and before:
                error = self._error("broken on purpose")
                continue
            try:
                yield waited
            except BaseException as thrown:
                error = thrown
            if waits == at:
                error = self._error("broken on purpose")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Short pauses; prunings and rescues whenever they are possible. A driver that is cut while it connects
    leaves a socket behind, and Python complains of it: here, and in no later test.
    """
    for module in (services, timed, threaded):
        monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.01)
    for module in (gate_sweeper, minute_writer, pruner, sweeper):
        monkeypatch.setattr(module, "EVERY_S", 0.0)
        monkeypatch.setattr(module, "AFTER_FAILURE_S", 0.0)
    monkeypatch.setattr(rescuer, "SUSPICION_S", 0.0)
    for module in (leaving, loop_watch, watching):
        monkeypatch.setattr(module, "LOOK_S", 0.01)
    yield
    gc.collect()


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A worker that holds a running message, and whose own services rest."""
    release = asyncio.Event()

    @worker(visibility_timeout=1, max_poll_seconds=60)
    async def handle(_: int) -> None:
        await release.wait()

    admin = await asyncpg.connect(database_url)
    await admin.execute("select postmill.create_queue('tasks')")
    address, events = Address(database_url), Events()
    shared = SharedConnection(address, "test")
    outage = Outage(events, is_passing)
    connections = HandlerConnections(address, 1, shared, outage)
    shape = await find_shape(shared, "tasks")
    queue_worker = QueueWorker(handle, shape, shared, shared, connections, outage)
    made = World(database_url, tmp_path, shared, queue_worker, outage, events)
    for each in (events, queue_worker.events):
        each.listeners.append(made.note)
    await admin.execute("select pgmq.send('tasks', '1')")
    while not queue_worker.held_messages.held:
        await queue_worker.claimer.run_once()
    yield made
    release.set()
    async with asyncio.timeout(GIVE_UP_S):
        await queue_worker.stop(force=release)
        await connections.close()
        await shared.close()
    await admin.close()


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """No task and no thread that began inside is there afterwards."""
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    yield
    async with asyncio.timeout(GIVE_UP_S):
        while left := [
            *(asyncio.all_tasks() - tasks),
            *(each for each in set(threading.enumerate()) - threads if each.name.startswith("postmill")),
        ]:
            assert left
            await asyncio.sleep(0.01)


KINDS = sorted(SCENES, key=lambda kind: kind.__name__)
every_service = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def test_every_service_of_the_product_has_a_scene() -> None:
    assert product_services() == set(SCENES)


@every_service
async def test_started_and_stopped_twice(world: World, kind: type[Service]) -> None:
    async with nothing_left():
        observed = Observed(SCENES[kind](world))
        service = observed.service
        service.start()
        service.start()
        await observed.works()
        await asyncio.gather(service.stop(), service.stop())
        await service.stop()
        batches = observed.batches
        service.start()
        await asyncio.sleep(0)
    assert (observed.batches, service.trouble, world.said) == (batches, None, [])


@every_service
async def test_stopped_before_it_was_started(world: World, kind: type[Service]) -> None:
    async with nothing_left():
        observed = Observed(SCENES[kind](world))
        await observed.service.stop()
        observed.service.start()
        await asyncio.sleep(0)
        await observed.service.stop()
    assert (observed.batches, world.said) == (0, [])


@every_service
async def test_stopped_in_the_moment_of_its_start(world: World, kind: type[Service]) -> None:
    async with nothing_left():
        service = SCENES[kind](world)
        service.start()
        await service.stop()
    assert world.said == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@every_service
async def test_its_task_is_cancelled(world: World, kind: type[Service]) -> None:
    """Other code cancels every task again and again, more often than a service may fail by itself."""
    async with nothing_left():
        observed = Observed(SCENES[kind](world))
        observed.service.start()
        for _ in range(MAX_FRUITLESS + 2):
            await observed.works()
            told = len(world.said)
            observed.service.cut()
            await observed.until(lambda told=told: len(world.said) > told)  # type: ignore[misc]
        await observed.works()
        assert (observed.service.trouble, observed.service.gave_up) == (None, False)
        await observed.service.stop()
    assert all("started again" in each["reason"] for each in world.said)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [Broken, asyncio.CancelledError], ids=lambda error: error.__name__)
@every_service
async def test_broken_at_each_wait_it_goes_on(
    world: World, kind: type[Service], error: type[BaseException]
) -> None:
    async with nothing_left():
        observed = Observed(SCENES[kind](world))
        breaker = Breaker(observed.service, error)
        observed.service.start()
        await observed.until(lambda: breaker.over)
        await observed.until(lambda: len(world.said) >= breaker.ends)
        await observed.works()
        assert (observed.service.trouble, observed.service.gave_up) == (None, False)
        await observed.service.stop()
    assert breaker.ends >= 2  # at its beginning and at its end
    assert len(world.said) >= breaker.ends
    assert all("started again" in each["reason"] for each in world.said)


@every_service
async def test_it_gives_up_once_and_says_so(world: World, kind: type[Service]) -> None:
    async with nothing_left():
        observed = Observed(SCENES[kind](world))
        service = observed.service
        told: list[Service] = []
        troubles: list[str | None] = []
        service.on_giving_up.append(told.append)
        service.on_failure.append(lambda _: troubles.append(service.trouble))

        async def broken() -> bool:
            raise Broken("for ever")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(service, "run_once", broken)
            service.start()
            await observed.until(lambda: bool(told) and len(troubles) > MAX_FRUITLESS)
            assert "for good" in str(service.trouble)
            await service.stop()
    assert told == [service]
    assert all(troubles)
    assert ["for good" in each["reason"] for each in world.said] == [False] * MAX_FRUITLESS + [True]
