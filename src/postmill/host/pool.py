"""The instances of one function: which one serves a request, when another is started, and when starting is
given up.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.host.background import Background
from postmill.host.instance.instance import Instance, State
from postmill.model.events import Event
from postmill.model.functions.failures import BootFailed, NoCapacity
from postmill.model.functions.limits import EndReason
from postmill.model.queue.breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from postmill.host.discovery import Source
    from postmill.model.functions.failures import FunctionFailure
    from postmill.model.functions.settings import RuntimeSettings
    from postmill.service.events import Events

STABLE_S = 5.0
"""A worker that crashes within this time after its start, in seconds, counts as one that failed to start. 5
s: an error at the start shows within that, so that it is followed by growing pauses.
"""
_STOPPING = "The host is stopping."


class Pool:
    """One function. Its instances are made by ``make``."""

    def __init__(
        self,
        source: Source,
        runtime: RuntimeSettings,
        events: Events,
        make: Callable[[Source, Callable[[], None]], Instance],
        on_death: Callable[[Instance, EndReason], Awaitable[None]],
    ) -> None:
        self.source = source
        self.instances: list[Instance] = []
        self.kind: str | None = None
        self.wanted = False
        """Whether it should be kept running: it is a worker, or was never started and may be one."""
        self.is_stopped = False
        """Whether it was stopped on request: then only a request starts it again."""
        self.breaker = Breaker()
        self.runtime = runtime
        self._events = events
        self._make = make
        self._on_death = on_death
        self._waiting: deque[asyncio.Future[Instance]] = deque()
        self._background = Background(events, function=source.settings.slug)
        self._booting: set[Instance] = set()
        """Instances whose start has not been judged yet, though they may have ended."""
        self._rolling = asyncio.Lock()
        self._version = 0
        """Counts changes: an instance of an earlier one is replaced."""
        self._is_known = False
        """An instance of this version was ready once, so that ``kind`` is true."""
        self.failure: BootFailed | None = None
        """Why an instance could not be started the last time that happened."""
        self._closed = False

    @property
    def slug(self) -> str:
        """The function's name."""
        return self.source.settings.slug

    @property
    def serving(self) -> list[Instance]:
        """Instances that serve, or will."""
        return [instance for instance in self.instances if instance.state in (State.STARTING, State.READY)]

    async def take(self) -> Instance:
        """A place on an instance. Raises :class:`BootFailed` or :class:`NoCapacity`."""
        self.is_stopped = False
        instance = self._free()
        if instance is not None:
            if instance.traffic.in_flight > 1:
                self._start_if_room()
        else:
            instance = await self._wait_for_place()
        return instance

    def keep(self) -> None:
        """Start the missing instances of a worker; called again and again. For a function that was never
        started, start one: it may be a worker.
        """
        if not self.wanted or not self.source.settings.enabled:
            return
        if self._closed or not self.breaker.may_try(time.monotonic()):
            return
        if not self._is_known:
            if not self.serving and not self._booting:
                self._start_if_room()
            return
        while self._start_if_room():
            pass

    @property
    def is_failing(self) -> bool:
        """Whether it should run and does not: it has not started yet, or keeps failing."""
        if not self.wanted or any(each.state == State.READY for each in self.instances):
            return False
        return self.breaker.is_broken or (not self._is_known and self.failure is not None)

    @property
    def is_outdated(self) -> bool:
        """Its files or settings have changed, the new version does not start, an earlier one serves on."""
        serves = any(each.state == State.READY for each in self.instances)
        return serves and not self._is_known and self.failure is not None

    async def try_once(self) -> None:
        """As :meth:`start`; a failure is logged, and the supervisor tries again."""
        with suppress(BootFailed, NoCapacity):
            await self.start()

    async def start(self) -> None:
        """Start one instance unless one serves, and keep it running from now on if it is a worker. Raises
        :class:`BootFailed` or :class:`NoCapacity`; the supervisor tries again.
        """
        self.wanted, self.is_stopped = True, False
        (await self.take()).left()

    async def replace(self, instance: Instance, why: str, *, always: bool = False) -> None:
        """Retire ``instance`` once another one serves in its place; while that fails, keep it. With
        ``always`` it needs a successor also if it was never called.
        """
        if instance.replacing or instance.state != State.READY:
            return
        instance.replacing = True
        if (always or self._needs_successor(instance)) and not await self._start():
            await asyncio.sleep(self.breaker.pause_s)
            instance.replacing = False
            return
        instance.retire(why)

    async def roll(self, source: Source, why: str = "changed", *, start: bool = False) -> None:
        """New settings or new files: new instances up, old ones drained. With ``start``, one is started also
        if none serves. Another change meanwhile waits, and then replaces what is older than itself.
        """
        self.source = source
        self.breaker.worked()
        self.failure = None
        self._is_known = False
        self._version += 1
        async with self._rolling:
            for instance in [each for each in self.serving if each.version < self._version]:
                await instance.until_started()
                await self.replace(instance, why, always=start)
            if start and not self.serving:
                await self.try_once()

    def change(self, source: Source, *, start: bool) -> None:
        """Begin to follow a change of files or settings. ``start`` as in :meth:`roll`; what was
        stopped stays stopped.
        """
        if not source.settings.enabled:
            self.source = source
            self.run(self.end_instances(self.runtime.grace_s))
            return
        was_enabled = self.source.settings.enabled
        self.run(self.roll(source, start=start and not (self.is_stopped and was_enabled)))

    async def recycle(self) -> None:
        """Replace every instance; if none serves, start one. Raises :class:`BootFailed` if a new one does not
        start; then the old one stays.
        """
        was_wanted = self.wanted
        await self.roll(self.source, "recycled", start=True)
        if self.failure is not None:
            self.wanted = was_wanted or self.kind == "worker"
            raise self.failure

    async def stop(self, grace_s: float) -> None:
        """End every instance."""
        self._closed = True
        self.wanted = False
        self._refuse(NoCapacity(_STOPPING))
        await asyncio.gather(*(instance.stop(grace_s) for instance in list(self.instances)))
        await self._background.finish()  # cancelled, they go on to return a dead worker's messages

    async def end_instances(self, grace_s: float) -> None:
        """End what runs now; the next request starts it again."""
        self.wanted, self.is_stopped = False, True
        await asyncio.gather(*(instance.stop(grace_s) for instance in list(self.instances)))

    def run(self, work: Coroutine[Any, Any, object]) -> None:
        """Do something in the background, ended with the pool."""
        self._background.run(work)

    def _free(self) -> Instance | None:
        """The least busy instance that takes a request; a place on it is taken with this."""
        best: Instance | None = None
        for instance in self.instances:
            if instance.is_free and (best is None or instance.traffic.in_flight < best.traffic.in_flight):
                best = instance
        if best is not None:
            best.traffic.in_flight += 1
        return best

    async def _wait_for_place(self) -> Instance:
        if self._closed:
            raise NoCapacity(_STOPPING)
        now = time.monotonic()
        if self.breaker.refuses(now) and self.failure is not None and not self.serving:
            raise self.failure
        wait_s = self.runtime.capacity_wait_s
        if not any(instance.state == State.READY for instance in self.instances):
            wait_s += self.runtime.boot_timeout_s
        waiter: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._start_if_room()
        try:
            async with asyncio.timeout(wait_s):
                return await waiter
        except BaseException as error:
            self._forget(waiter)
            if isinstance(error, TimeoutError):
                raise NoCapacity(
                    f"Every instance of the function was busy for {self.runtime.capacity_wait_s:g} s.",
                    hint="Raise instances or concurrency in its table.",
                ) from None
            raise

    def _forget(self, waiter: asyncio.Future[Instance]) -> None:
        """The request waits no longer: give back a place that has just been given."""
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            waiter.result().left()
        elif waiter in self._waiting:
            self._waiting.remove(waiter)

    def _start_if_room(self) -> bool:
        places = {*self.serving, *self._booting}
        if self._closed or len(places) >= self.source.settings.instances:
            return False
        self.run(self._boot(self._add()))
        return True

    async def _start(self) -> bool:
        """One more instance, also beyond their number. Returns whether it serves."""
        return not self._closed and await self._boot(self._add())

    def _add(self) -> Instance:
        instance = self._make(self.source, self._changed)
        instance.version = self._version
        self.instances.append(instance)
        self.run(self._bury(instance))
        return instance

    async def _boot(self, instance: Instance) -> bool:
        try:
            await self._start_up(instance)
        except BootFailed as failure:
            if instance.version == self._version:
                self._failed(failure)
            else:  # its files have changed meanwhile: waiting requests get the new version
                self._changed()
            return False
        self._started(instance)
        self._changed()
        if instance.kind == "worker":
            await instance.claiming.wait()
        else:
            self.breaker.worked()
        return instance.state == State.READY

    async def _start_up(self, instance: Instance) -> None:
        self._booting.add(instance)
        try:
            await instance.start(self.runtime.boot_timeout_s)
        finally:
            self._booting.discard(instance)

    def _started(self, instance: Instance) -> None:
        if instance.version < self._version:
            return  # a later version may be of another kind
        self.kind, self._is_known, self.failure = instance.kind, True, None
        if self.kind != "worker":
            self.wanted = False

    def _needs_successor(self, instance: Instance) -> bool:
        """An instance that had no request since its start need not be replaced before the next one."""
        if instance.kind == "worker":
            return self.wanted
        return instance.traffic.requests > 0 and self.source.settings.policy != "oneshot"

    async def _bury(self, instance: Instance) -> None:
        reason = await asyncio.shield(instance.ended)
        self.instances.remove(instance)
        crashed = reason in (EndReason.CRASH, EndReason.STARTUP_FAILURE)
        if instance.kind == "worker":
            if crashed and instance.lived_s < STABLE_S:
                self._count_failure()
            else:
                self.breaker.worked()
        try:
            await self._on_death(instance, reason)
        finally:
            self._changed()

    def failed(self, error: Exception) -> None:
        """Log a bug that has met this function; the others go on."""
        self._background.failed(error)

    def _failed(self, failure: BootFailed) -> None:
        self.failure = failure
        self._count_failure()
        if not self.serving:
            self._refuse(failure)

    def _refuse(self, failure: FunctionFailure) -> None:
        """No waiting request will get a place."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(failure)

    def _count_failure(self) -> None:
        self.breaker.failed(time.monotonic())
        if self.breaker.is_broken:
            self._events.emit(
                Event.FUNCTION_BROKEN,
                function=self.slug,
                failures=self.breaker.failures,
                pause_s=self.breaker.pause_s,
            )

    def _changed(self) -> None:
        """An instance has become ready or free, or has ended: serve waiting requests."""
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            instance = self._free()
            if instance is None:
                if self.failure is not None and self.breaker.refuses(time.monotonic()):
                    self._refuse(self.failure)
                else:
                    self._start_if_room()
                return
            self._waiting.popleft().set_result(instance)
