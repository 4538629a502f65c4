"""Several engines, one for each database, as one: they share handlers and slots, and nothing else. Whatever
happens to a database happens to its engine only.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from postmill.client.home import Home
from postmill.databases.handler_share import HandlerShare, Shared
from postmill.engine.engine import Engine
from postmill.engine.place import Place
from postmill.engine.run.slots import Slots
from postmill.model.config.release import Release
from postmill.service.events import Events
from postmill.service.service import new_task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from postmill.engine.engine import MakeService
    from postmill.engine.handler import Handler
    from postmill.engine.worker import QueueWorker
    from postmill.model.databases.databases import Databases
    from postmill.model.errors import PostmillError


def _made(
    databases: Databases,
    placed: Mapping[str, Sequence[Handler]],
    services: Mapping[str, Sequence[MakeService]],
) -> dict[str, Engine]:
    """An engine for each database, on handlers and slots that all of them share."""
    shared = {id(handler): Shared(handler) for handlers in placed.values() for handler in handlers}
    options = [each.handler.options for each in shared.values()]
    slots = {each.queue: Slots(each.max_concurrent) for each in options}

    def share(handler: Handler, name: str) -> HandlerShare:
        return HandlerShare(shared[id(handler)], name, has_schedule=name == databases.of_schedules)

    return {
        name: Engine(
            [share(handler, name) for handler in handlers],
            databases.addresses[name],
            services.get(name, ()),
            Place(Home(databases, name), slots),
        )
        for name, handlers in placed.items()
    }


class Engines:
    """The engines of one process; see :class:`~postmill.engine.runs_workers.RunsWorkers`."""

    def __init__(
        self,
        databases: Databases,
        placed: Mapping[str, Sequence[Handler]],
        services: Mapping[str, Sequence[MakeService]],
        of_process: Sequence[MakeService] = (),
    ) -> None:
        """``placed``: the handlers of each database that has any. ``services``: what else runs there.
        ``of_process``: what runs once, as soon as the first database is there.
        """
        self._schedules = databases.of_schedules
        self._of_process = of_process
        self.engines = _made(databases, placed, services)
        """By the name of their database."""
        self.events = Events(function="postmill", queue="*")
        self.started = asyncio.Event()
        """Set when the first database is there, and its workers claim."""
        self.release = Release()
        """As an :class:`Engine` has it: set before the start."""
        self.on_worker: list[Callable[[QueueWorker], None]] = []
        self.on_over: list[Callable[[], object]] = []
        for engine in self.engines.values():
            engine.events.counters = self.events.counters
            engine.on_worker.append(self._tell_of_worker)
            engine.on_over.append(self._over)

    async def start(self) -> None:
        """Start all of them, each as soon as its database answers. Returns when all have; raises what one of
        them raises.
        """
        tasks = [new_task(self._start(engine)) for engine in self.engines.values()]
        try:
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            if not self.started.is_set():
                raise
        finally:
            for task in tasks:
                task.cancel()

    async def _start(self, engine: Engine) -> None:
        engine.release = self.release
        await engine.start()
        if engine.started.is_set() and not self.started.is_set():
            for make in self._of_process:
                engine.add(make)
            self.started.set()

    async def stop(self, reason: str = "shutdown") -> None:
        """Stop all of them at once."""
        await asyncio.gather(*(new_task(engine.stop(reason)) for engine in self.engines.values()))

    def force(self) -> None:
        """See :class:`Engine`."""
        for engine in self.engines.values():
            engine.force()

    @property
    def failure(self) -> PostmillError | None:
        """Why this process can't go on."""
        return next((each.failure for each in self.engines.values() if each.failure is not None), None)

    @property
    def workers(self) -> Sequence[QueueWorker]:
        """Those of all databases."""
        return [worker for engine in self.engines.values() for worker in engine.workers]

    @property
    def running(self) -> int:
        """Messages that run now."""
        return sum(engine.running for engine in self.engines.values())

    @property
    def not_ready(self) -> str | None:
        """Why this process should get no more work: None while one database at least is at work."""
        reasons = {name: engine.not_ready for name, engine in self.engines.items()}
        if None in reasons.values():
            return None
        return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())

    async def schedule_figures(self) -> Mapping[str, Any]:
        """Those of the database in which schedules live. Raises ``LookupError`` where this process does not
        work there.
        """
        return await self.engines[self._schedules].schedule_figures()

    async def is_work_left(self) -> bool:
        """Whether there is work in any of them: one that is not there yet may have some."""
        for engine in self.engines.values():
            if not engine.started.is_set() or await engine.is_work_left():
                return True
        return False

    def _tell_of_worker(self, worker: QueueWorker) -> None:
        for tell in self.on_worker:
            tell(worker)

    def _over(self) -> None:
        """One of them should end: then all do, as a process that is deprecated in one database is to be
        replaced.
        """
        for tell in self.on_over:
            tell()
