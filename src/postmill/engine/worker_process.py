"""A process whose main job is to run workers: signals in, an end out. One signal drains, a second forces."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from postmill.engine.engine import Engine
from postmill.engine.leaving import Leaving
from postmill.model.config.lifetime import Lifetime
from postmill.model.config.release import Release
from postmill.model.option_rules import one_of
from postmill.service.service import new_task
from postmill.service.stop_requests import heard

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from postmill.engine.engine import MakeService
    from postmill.engine.handler import Handler
    from postmill.engine.runs_workers import MakeEngine, RunsWorkers
    from postmill.engine.worker_probe import WorkerProbe
    from postmill.model.config.address import Address

LOOP_VARIABLE = "POSTMILL_LOOP"
"""Names the event loop of a worker's process."""
LEFT_BEHIND_S = 1.0
"""How long a task that ignores its cancellation may delay the end of the process, in seconds. 1 s: a task
that cleans up is done by then.
"""
MAX_STOPS = 5
"""How often a stop is begun again after other code in the process has cancelled it. Five: code that cancels
more often must not keep the process for ever.
"""


class Runner:
    """Handlers that run until a signal or a caller asks them to stop."""

    def __init__(
        self,
        handlers: Sequence[Handler],
        address: Address,
        *,
        on_drain: Callable[[Callable[[], int]], None] | None = None,
        probe: tuple[str, int] | None = None,
        services: Sequence[MakeService] = (),
        lifetime: Lifetime | None = None,
        make_engine: MakeEngine | None = None,
    ) -> None:
        """``services``: further background services; see :class:`Engine`. ``lifetime``: when it leaves by
        itself. ``make_engine``: makes what runs the handlers, with the services that belong to the process;
        None: one engine on ``address``.
        """
        self._make_engine = make_engine or partial(Engine, handlers, address)
        self._services = services
        self._lifetime = lifetime or Lifetime()
        self.release = Release()
        """Of which release the workers are: set before the run."""
        self._left: str | None = None
        """Why it leaves by itself; None while it does not."""
        self._on_drain = on_drain
        self._probe = probe
        self._engine: RunsWorkers | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: asyncio.Event | None = None
        self._asked_early = False
        self._over: asyncio.Future[None]
        """Not a task: nothing that cancels every task reaches it."""

    async def run(self) -> None:
        """Run until SIGINT, SIGTERM, SIGHUP, :meth:`stop`, an operator's deprecation of every worker here, or
        the end of its lifetime. Raises :class:`WorkerFailed` when a part of a worker can't be kept alive.
        """
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.create_future()
        self._asked = asyncio.Event()
        self._engine = engine = self._make_engine(self._all_services())
        engine.release = self.release
        if self._asked_early:
            self._asked.set()
            self._end()
        probe = self._probe_of(engine)
        with heard(self.stop, self._asked.is_set):
            if probe is not None:
                await probe.start()
            try:
                await self._run(engine, self._asked)
            finally:
                if probe is not None:
                    await probe.stop()

    async def _run(self, engine: RunsWorkers, asked: asyncio.Event) -> None:
        starting = new_task(engine.start())
        starting.add_done_callback(lambda task: self._end() if _error_of(task) is not None else None)
        engine.on_over.append(self._end)
        await self._outlasted(self._over)
        if not starting.done():
            starting.cancel()
        failed = engine.failure is not None or not engine.started.is_set()
        reason = "failed" if failed else self._left or "deprecated"
        await self._stopped(engine, "shutdown" if asked.is_set() else reason)
        await self._outlasted(starting)
        error = engine.failure or _error_of(starting)
        if error is not None and not (asked.is_set() and isinstance(error, asyncio.CancelledError)):
            raise error

    async def _stopped(self, engine: RunsWorkers, reason: str) -> None:
        """Stop the engine, again if other code has cancelled that."""
        for _ in range(MAX_STOPS):
            stopping = new_task(engine.stop(reason))
            await self._outlasted(stopping)
            if not stopping.cancelled():
                break
        stopping.result()

    async def _outlasted(self, waited: asyncio.Future[Any]) -> None:
        """Wait for ``waited``, also when this task is cancelled: a handler that cancels every task of the
        process has cancelled this one too, and nothing else may.
        """
        task = asyncio.current_task()
        while not waited.done():
            try:
                await asyncio.wait({waited})
            except asyncio.CancelledError:
                if task is not None:
                    task.uncancel()

    def stop(self) -> None:
        """Ask for the end. Asked again, end the grace."""
        if self._asked is None or self._engine is None:
            self._asked_early = True
            return
        if self._asked.is_set():
            self._engine.force()
        self._asked.set()
        self._end()
        if self._on_drain is not None:
            engine = self._engine
            self._on_drain(lambda: engine.running)

    def _all_services(self) -> list[MakeService]:
        if self._lifetime.is_endless:
            return [*self._services]
        leaving: MakeService = partial(
            Leaving,
            workers=lambda: [] if self._engine is None else self._engine.workers,
            is_work_left=self._is_work_left,
            lifetime=self._lifetime,
            leave=self._leave,
        )
        return [*self._services, leaving]

    async def _is_work_left(self) -> bool:
        return self._engine is None or await self._engine.is_work_left()

    def _leave(self, reason: str) -> None:
        """Drain and end. A signal that comes now is the first: it asks, and does not force."""
        self._left = self._left or reason
        self._end()

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def stop_from_thread(self) -> None:
        """:meth:`stop`, from a thread that is not the event loop's."""
        if self._loop is None:
            self._asked_early = True
        else:
            self._loop.call_soon_threadsafe(self.stop)

    def _probe_of(self, engine: RunsWorkers) -> WorkerProbe | None:
        """The probe, if there is to be one."""
        if self._probe is None:
            return None
        from postmill.engine.worker_probe import WorkerProbe  # noqa: PLC0415 - most workers run without a probe

        return WorkerProbe(engine, *self._probe)


def run(main: Coroutine[Any, Any, None], stop: Callable[[], object] | None = None) -> None:
    """Run ``main`` on the fastest event loop there is here, or on asyncio's own if ``POSTMILL_LOOP`` says so.

    ``stop`` asks ``main`` to end. It is called when other code breaks the loop off, with a ``SystemExit`` in
    a task of its own; what was raised is raised here when ``main`` has ended. Raises :class:`InvalidOption`
    for any other value of that variable.
    """
    runner = asyncio.Runner(loop_factory=loop_factory(os.environ.get(LOOP_VARIABLE)))
    try:
        _run_to_its_end(runner, main, stop)
    finally:
        loop = runner.get_loop()
        loop.set_task_factory(None)  # a handler may have installed one that raises
        if loop.run_until_complete(_ended()):
            runner.close()


def _run_to_its_end(
    runner: asyncio.Runner, main: Coroutine[Any, Any, None], stop: Callable[[], object] | None
) -> None:
    working: list[asyncio.Task[Any] | None] = []

    async def work() -> None:
        working.append(asyncio.current_task())
        await main

    try:
        runner.run(work())
    except BaseException as broken:
        task = working[0] if working else None
        if stop is None or task is None or task.done():
            raise
        if not _is_stopped_loop(broken):
            stop()
        _go_on(runner.get_loop(), task, stop)
        if not _is_stopped_loop(broken):
            raise


def _go_on(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], stop: Callable[[], object]) -> None:
    """Run a loop that was broken off until ``task`` has ended. ``loop.stop()`` has no effect; any other break
    asks for the end, and once more cuts the grace short.
    """
    while not task.done():
        try:
            loop.run_until_complete(task)
        except BaseException as broken:
            if task.done():
                raise
            if not _is_stopped_loop(broken):
                stop()


def _is_stopped_loop(error: BaseException) -> bool:
    """Whether other code called ``loop.stop()``: the event loop reports it by this text, without a class."""
    return isinstance(error, RuntimeError) and "stopped before Future completed" in str(error)


def loop_factory(wanted: str | None) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes an event loop; None is asyncio's own. ``wanted`` is ``asyncio``, ``uvloop`` or nothing."""
    if wanted:
        one_of(LOOP_VARIABLE, wanted, ("asyncio", "uvloop"))
    if wanted == "asyncio":
        return None
    try:
        return import_module("uvloop").new_event_loop  # type: ignore[no-any-return]
    except ImportError:
        return None  # not on every platform


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    """What ended a task; None when it returned."""
    return asyncio.CancelledError("the start was cancelled") if task.cancelled() else task.exception()


async def _ended() -> bool:
    """Cancel the tasks that still run. Returns whether they ended: a handler that ignores it must not keep
    the process alive.
    """
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=LEFT_BEHIND_S)
    return all(task.done() for task in rest)
