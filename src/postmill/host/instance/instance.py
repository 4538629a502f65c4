"""One isolate, seen from the host: how it starts, what it does now, how it ends."""

from __future__ import annotations

import asyncio
import socket
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from postmill.host.instance.activity import BLOCKED_S, Pulse, Traffic
from postmill.host.instance.end_reason import End, failure_of, reason_of
from postmill.host.instance.startup import Startup
from postmill.host.launch.isolate_process import IsolateProcess
from postmill.host.launch.usage import measure
from postmill.model.errors import PostmillError
from postmill.model.events import Event
from postmill.model.functions.failures import BootFailed, HandlerRaised
from postmill.model.functions.limits import WARNINGS, EndReason, Usage
from postmill.wire.channel import Channel
from postmill.wire.frames import Kind, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.host.discovery import Source
    from postmill.host.launch.launcher import Ending, Launcher
    from postmill.host.launch.usage import Measured
    from postmill.service.events import Events
    from postmill.wire.frames import Boot
    from postmill.wire.stream import Stream

KILLED_S = 5.0
"""How long a stop waits for the end of a killed process, in seconds. The kernel and the zygote need
milliseconds. Only a process that waits for a broken disk, or a halted zygote, needs longer.
"""
UNLOAD_S = 5.0
"""How long an isolate may take to exit after all that it held is finished, in seconds. Its ``atexit``
functions have 2 s of them (``isolate.last_words.AT_EXIT_S``).
"""


class State(IntEnum):
    """Where an isolate is in its life; it only moves forward."""

    STARTING = 0
    READY = 1
    RETIRED = 2
    ENDED = 3


class Instance:
    """A process that runs one function."""

    def __init__(
        self,
        source: Source,
        boot: Callable[[str], Boot],
        launcher: Launcher,
        events: Events,
        on_change: Callable[[], None],
    ) -> None:
        """``boot`` makes what it is told, by its id. What it raises is a failure of the start."""
        self.settings = source.settings
        self._at_a_time = source.settings.at_a_time
        self.slug = source.settings.slug
        self.execution_id = str(uuid4())
        self.state = State.STARTING
        self.kind: str | None = None
        self.worker_ids: list[str] = []
        self.claiming = asyncio.Event()
        """Set when its workers are at work, or it has ended."""
        self.version = 0
        """Which version of its function it runs, as its pool counts them."""
        self.replacing = False
        """Its replacement is on the way."""
        self.ended: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self._boot = boot
        self._events = events
        self._on_change = on_change
        self._cpu_before_s = 0.0
        """Used before the request that counts began."""
        self._process = IsolateProcess(launcher, events, self.slug, self.execution_id)
        self._channel = Channel(self._on_frame, self._on_lost)
        self.traffic = Traffic(self._channel)
        self.pulse = Pulse(lambda: self._channel.send(Kind.PING))
        self._startup = Startup(self._say, source.told)
        self._killed_for: EndReason | None = None
        self._asked_to_end = self._stopping = False
        self._warned: set[EndReason] = set()
        self._ready_at = 0.0
        self._life: asyncio.Task[None] | None = None

    async def start(self, timeout_s: float) -> None:
        """Until it is ready to serve. Raises :class:`BootFailed`."""
        began = time.monotonic()
        await self._launch_within(timeout_s)
        try:
            self.kind = await self._startup.kind()
        except BootFailed:
            self.state = max(self.state, State.RETIRED)
            raise
        self._ready_at = self.traffic.idle_since = time.monotonic()
        self.state = max(self.state, State.READY)  # it may have ended already
        self._say(Event.FUNCTION_BOOTED, kind=self.kind, boot_ms=round((self._ready_at - began) * 1000, 1))

    async def until_started(self) -> None:
        """Until it is ready to serve, or has failed."""
        await self._startup.until_decided()

    @property
    def pid(self) -> int:
        """Its process; 0 as long as there is none."""
        return self._process.pid

    @property
    def is_free(self) -> bool:
        """Whether it takes another request."""
        if self.state != State.READY or self.pulse.blocked_s >= BLOCKED_S:
            return False
        return self.traffic.in_flight < self._at_a_time

    @property
    def is_blocked(self) -> bool:
        """Whether its event loop hangs."""
        return self.pulse.is_blocked

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do, so that its event loop need not turn; a worker always has."""
        return self.traffic.is_quiet and self.kind != "worker"

    @property
    def lived_s(self) -> float:
        """How long ago it became ready, in seconds; 0 when it never did."""
        return time.monotonic() - self._ready_at if self._ready_at else 0.0

    def open(self, opening: bytes) -> Stream:
        """Begin an exchange; its place was taken when this instance was chosen."""
        if self.settings.policy == "per_request" and (used := measure(self.pid)) is not None:
            self._cpu_before_s = used.cpu_s
        return self.traffic.open(opening)

    def left(self) -> None:
        """One exchange less."""
        self.traffic.left()
        if self.settings.policy == "oneshot" and self.traffic.requests:
            self.retire("oneshot")
        if self.state == State.RETIRED:
            self._stop_if_done()
        self._on_change()

    def retire(self, why: str) -> None:
        """Take nothing new; end when what runs is done."""
        if self.state != State.READY:
            return
        self.state = State.RETIRED
        self._say(Event.FUNCTION_RETIRED, why=why)
        self._channel.send(Kind.RETIRE)
        self._stop_if_done()
        self._on_change()

    def warn(self, reason: EndReason) -> None:
        """Tell user code, once, that its end is near."""
        if reason not in self._warned:
            self._warned.add(reason)
            self._say(Event.FUNCTION_WARNED, why=WARNINGS[reason])
            self._channel.send(Kind.WARN, 0, WARNINGS[reason].encode())

    async def tell_blocked(self) -> None:
        """Say that its event loop hangs, and where."""
        blocked_s, stack = round(self.pulse.blocked_s, 1), await self._process.stack()
        self._say(Event.FUNCTION_BLOCKED, blocked_s=blocked_s, traceback=stack)

    def kill(self, reason: EndReason) -> None:
        """End it at once."""
        if self._killed_for is None and not self.ended.done():
            self._killed_for = reason
            self._process.kill()

    async def stop(self, grace_s: float) -> None:
        """Let what runs finish within the grace, then end it. Returns when it is gone."""
        self._asked_to_end = True
        if self.state == State.STARTING:
            self.kill(EndReason.TERMINATION_REQUESTED)
        self.warn(EndReason.TERMINATION_REQUESTED)
        self.retire("termination")
        if not await self._gone_within(grace_s):
            self._say_stop()
            if not await self._gone_within(min(1.0, grace_s)):
                self.kill(EndReason.TERMINATION_REQUESTED)
                await self._gone_for_certain()
        await asyncio.shield(self.ended)

    async def _gone_for_certain(self) -> None:
        """A host that stops must not wait for ever for an end that nothing can see."""
        if not await self._gone_within(KILLED_S):
            self._say(Event.HOST_FAILED, reason=f"no end of process {self.pid} {KILLED_S:g} s after its kill")
            self._end(EndReason.TERMINATION_REQUESTED)

    def usage(self, measured: Measured) -> Usage:
        """What it has used so far."""
        return Usage(
            age_s=self.lived_s,
            cpu_s=measured.cpu_s - self._cpu_before_s,
            memory_bytes=measured.memory_bytes,
            requests=self.traffic.requests,
            idle_s=time.monotonic() - self.traffic.idle_since if self.is_idle else 0.0,
            blocked_s=self.pulse.blocked_s,
        )

    async def _launch_within(self, timeout_s: float) -> None:
        """Until the start has succeeded or failed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._launch()
                await self._startup.until_decided()
        except TimeoutError:
            stack = await self._process.stack()
            self._give_up(f"It was not ready after {timeout_s:g} s.", stack)
        except PostmillError as error:  # a variable that can't be given, or nothing to fork from
            self._give_up(str(error))
        except (
            Exception
        ) as error:  # no descriptor is left, for example: waiting requests must be told in any case
            self._give_up(f"Its process could not be started: {type(error).__name__}: {error}")

    def _give_up(self, why: str, stack: str = "") -> None:
        self._startup.fail(why, stack)
        self.kill(EndReason.STARTUP_FAILURE)
        if self._life is None:
            self._end(EndReason.STARTUP_FAILURE)

    async def _launch(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            await self._channel.attach(ours)
            boot = await asyncio.to_thread(self._boot, self.execution_id)  # it reads files
            self._channel.send(Kind.BOOT, 0, msgspec.msgpack.encode(boot))
            await self._process.launch(theirs)
        finally:
            theirs.close()
        self._life = asyncio.create_task(self._live())

    async def _live(self) -> None:
        """Wait for the end and report it to all that wait for the isolate, whatever fails here."""
        try:
            await self._bury(await self._process.until_ended())
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            self._say(Event.HOST_FAILED, exception=error, reason=reason)
        finally:
            self._end(self._killed_for or EndReason.CRASH)

    async def _bury(self, ending: Ending) -> None:
        reason = self._killed_for = self._reason(ending)
        self.state = State.ENDED
        self._startup.fail(f"Its process ended while it was imported ({ending}).")
        self.traffic.fail(failure_of(reason))
        self._channel.abort()
        await self._process.until_silent()
        self._say(
            Event.FUNCTION_SHUTDOWN,
            reason=reason.value,
            cpu_time_s=round(ending.cpu_s, 3),
            memory_bytes=ending.max_rss_bytes,
            exit=str(ending),
            **self.settings.limits.reached(reason),
        )

    def _end(self, reason: EndReason) -> None:
        """It is over: end every wait for it."""
        self.state = State.ENDED
        self._startup.fail("Its process is gone.")
        self.traffic.fail(failure_of(reason))
        self._channel.abort()
        self.claiming.set()
        if not self.ended.done():
            self.ended.set_result(reason)
            self._on_change()

    def _reason(self, ending: Ending) -> EndReason:
        end = End(
            killed_for=self._killed_for,
            booted=self._startup.succeeded,
            clean=ending.is_clean,
            left_requests=self.traffic.has_open and not self._stopping,
            asked_to_end=self._asked_to_end,
            retired=self.state == State.RETIRED,
            oneshot=self.settings.policy == "oneshot",
        )
        return reason_of(end)

    async def _gone_within(self, seconds: float) -> bool:
        await asyncio.wait({self.ended}, timeout=seconds)
        return self.ended.done()

    def _stop_if_done(self) -> None:
        if self.state == State.RETIRED and self.is_idle:
            self._say_stop()

    def _say_stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._channel.send(Kind.STOP)
            asyncio.get_running_loop().call_later(UNLOAD_S, self.kill, EndReason.EARLY_DROP)

    def _on_frame(self, kind: int, number: int, payload: bytes) -> None:
        if number:
            self._on_stream_frame(kind, number, payload)
        elif kind in (Kind.BOOTED, Kind.BOOT_FAILED):
            self._startup.heard(kind, payload)
        elif kind == Kind.PENDING:
            self.traffic.pending = int.from_bytes(payload, "little")
            self._stop_if_done()
        elif kind == Kind.WORKERS:
            self.worker_ids = msgspec.msgpack.decode(payload, type=list[str])
        elif kind == Kind.CLAIMING:
            self.claiming.set()
        elif kind == Kind.PONG and self.pulse.answered():
            self._on_change()

    def _on_stream_frame(self, kind: int, number: int, payload: bytes) -> None:
        stream = self.traffic.find(number)
        if stream is None:
            return
        if kind == Kind.EXHAUSTED:
            self.kill(EndReason.MEMORY)
            return
        if kind == Kind.RAISED:
            trouble = msgspec.msgpack.decode(payload, type=Trouble)
            self._say(Event.FUNCTION_UNCAUGHT, error=trouble.summary, traceback=trouble.traceback)
            stream.fail(HandlerRaised("The function raised an error.", why=trouble.summary))
            return
        if not stream.failed:  # what it raised is not forgotten over its end
            stream.arrived(kind, payload)
        if kind == Kind.END:
            self.traffic.close(number)
            if self._killed_for is None:
                self.left()

    def _on_lost(self, _error: BaseException | None) -> None:
        """The isolate's end of the channel is closed: the isolate ends, or user code has closed it."""
        asyncio.get_running_loop().call_later(1.0, self.kill, EndReason.CRASH)

    def _say(self, event: Event, **fields: Any) -> None:
        self._events.emit(event, function=self.slug, execution=self.execution_id, **fields)
