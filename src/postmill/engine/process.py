"""A process whose main job is to run workers: signals in, an end out. One signal drains, a second forces."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from postmill.engine.run import Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence

    from postmill.engine.handler import Handler
    from postmill.model.address import Address

LEFT_BEHIND_S = 1.0
"""How long a task that ignores its cancellation may hold up the end of the process."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Runner:
    """Handlers that run until somebody asks them to stop."""

    def __init__(
        self,
        handlers: Sequence[Handler],
        address: Address,
        *,
        on_drain: Callable[[Callable[[], int]], None] | None = None,
        probe: tuple[str, int] | None = None,
    ) -> None:
        self._handlers = handlers
        self._address = address
        self._on_drain = on_drain
        self._probe = probe
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: asyncio.Event | None = None
        self._asked_early = False

    async def run(self) -> None:
        """Run until SIGINT, SIGTERM, :meth:`stop` or an operator's deprecation of every worker here."""
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        self._engine = engine = Engine(self._handlers, self._address)
        if self._asked_early:
            self._asked.set()
        with self._signals():
            async with self._observed(engine):
                await self._run(engine, self._asked)

    async def _run(self, engine: Engine, asked_for: asyncio.Event) -> None:
        starting = asyncio.create_task(engine.start())
        asked = asyncio.create_task(asked_for.wait())
        await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
        reason = "shutdown"
        if not starting.done():
            starting.cancel()
        elif starting.exception() is None and not asked.done():
            reason = await self._until_stopped(engine, asked)
        asked.cancel()
        await engine.stop(reason)
        with suppress(asyncio.CancelledError):
            await starting

    def stop(self) -> None:
        """Ask for the end; asked again, cut the grace short."""
        if self._asked is None or self._engine is None:
            self._asked_early = True
            return
        if self._asked.is_set():
            self._engine.force()
        self._asked.set()
        if self._on_drain is not None:
            engine = self._engine
            self._on_drain(lambda: engine.running)

    def stop_from_thread(self) -> None:
        """:meth:`stop`, from a thread that is not the event loop's."""
        if self._loop is None:
            self._asked_early = True
        else:
            self._loop.call_soon_threadsafe(self.stop)

    async def _until_stopped(self, engine: Engine, asked: asyncio.Task[bool]) -> str:
        deprecated = asyncio.create_task(engine.wait_deprecated())
        await asyncio.wait({deprecated, asked}, return_when=asyncio.FIRST_COMPLETED)
        deprecated.cancel()
        return "shutdown" if asked.done() else "deprecated"

    @asynccontextmanager
    async def _observed(self, engine: Engine) -> AsyncIterator[None]:
        """With the probe, if there is to be one."""
        if self._probe is None:
            yield
            return
        from postmill.engine.worker_probe import WorkerProbe  # noqa: PLC0415 - most workers run without a probe

        probe = WorkerProbe(engine, *self._probe)
        await probe.start()
        try:
            yield
        finally:
            await probe.stop()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals ask for the end. In a thread other than the main one they can't be had."""
        loop = asyncio.get_running_loop()
        taken = []
        for number in _SIGNALS:
            with suppress(ValueError, RuntimeError, NotImplementedError):
                loop.add_signal_handler(number, self.stop)
                taken.append(number)
        try:
            yield
        finally:
            for number in taken:
                loop.remove_signal_handler(number)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` on the fastest event loop there is here."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    runner = asyncio.Runner(loop_factory=factory)
    try:
        runner.run(main)
    finally:
        if runner.get_loop().run_until_complete(_ended()):
            runner.close()


async def _ended() -> bool:
    """Cancel what still runs, and say whether it ended: a handler that ignores it must not keep us here."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=LEFT_BEHIND_S)
    return all(task.done() for task in rest)
