"""One isolate, seen from the host: how it starts, what it does now, how it ends."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from postmill.host.output import Output
from postmill.host.usage import measure
from postmill.isolate.channel import Channel
from postmill.isolate.frames import Boot, Booted, Kind, Trouble
from postmill.isolate.stream import Stream
from postmill.model.events import Event
from postmill.model.function_failures import (
    BootFailed,
    FunctionDied,
    FunctionFailure,
    HandlerRaised,
    LimitReached,
)
from postmill.model.function_limits import MEBIBYTE, WARNINGS, EndReason, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from postmill.host.discovery import Source
    from postmill.host.journal import FunctionJournal
    from postmill.host.launcher import Ending, Launcher, Process
    from postmill.host.usage import Measured

UNLOAD_S = 5.0
"""How long an isolate may take to exit after everything it held is done."""
OUTPUT_S = 0.5
"""How long the end of an isolate's output is waited for."""
FOREVER_S = 86_400.0
_LIMITS = (EndReason.WALL_CLOCK, EndReason.CPU_TIME, EndReason.MEMORY)


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
        folder: Path,
        environment: Mapping[str, str],
        launcher: Launcher,
        journal: FunctionJournal,
        on_change: Callable[[], None],
    ) -> None:
        self.settings = source.settings
        self.slug = source.settings.slug
        self.execution_id = str(uuid4())
        self.state = State.STARTING
        self.kind: str | None = None
        self.worker_ids: list[str] = []
        self.claiming = asyncio.Event()
        """Set when its workers are at work."""
        self.in_flight = 0
        self.requests = 0
        self.replacing = False
        """Its replacement is on the way."""
        self.ended: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self.pid = 0
        self._source = source
        self._folder = folder
        self._environment = environment
        self._launcher = launcher
        self._journal = journal
        self._on_change = on_change
        self._streams: dict[int, Stream] = {}
        self._numbers = 0
        self._pending = 0
        self._cpu_before_s = 0.0
        """Used before the request that counts began."""
        self._process: Process | None = None
        self._channel = Channel(self._on_frame, self._on_lost)
        self._booted: asyncio.Future[Booted] = asyncio.get_running_loop().create_future()
        self._outputs: list[Output] = []
        self._killed_for: EndReason | None = None
        self._asked_to_end = False
        self._stopping = False
        self._warned: set[EndReason] = set()
        self._ready_at = 0.0
        self._idle_since = 0.0
        self._life: asyncio.Task[None] | None = None

    async def start(self, timeout_s: float) -> None:
        """Until it is ready to serve. Raises :class:`BootFailed`."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                await self._launch()
                self.kind = (await asyncio.shield(self._booted)).kind
        except TimeoutError:
            failure = self._boot_failed(f"It was not ready after {timeout_s:g} s.", "")
            self._booted.set_exception(failure)
            self._booted.exception()  # seen
            self.kill(EndReason.STARTUP_FAILURE)
            if self._process is None:
                self.state = State.ENDED
                self.ended.set_result(EndReason.STARTUP_FAILURE)
            self.state = max(self.state, State.RETIRED)
            raise failure from None
        except BootFailed:
            self.state = max(self.state, State.RETIRED)
            raise
        self._ready_at = self._idle_since = time.monotonic()
        self.state = State.READY
        self._say(Event.FUNCTION_BOOTED, kind=self.kind, boot_ms=round((self._ready_at - began) * 1000, 1))

    async def until_started(self) -> None:
        """Until it is ready to serve, or has failed."""
        await asyncio.wait({self._booted})

    async def until_claiming(self) -> None:
        """Until its workers are at work, or it has ended."""
        claiming = asyncio.create_task(self.claiming.wait())
        ends: set[asyncio.Future[Any]] = {claiming, self.ended}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        claiming.cancel()

    @property
    def is_free(self) -> bool:
        """Whether it takes another request."""
        return self.state == State.READY and self.in_flight < self.settings.at_a_time

    @property
    def lived_s(self) -> float:
        """How long ago it became ready, in seconds; 0 when it never did."""
        return time.monotonic() - self._ready_at if self._ready_at else 0.0

    def open(self, opening: bytes) -> Stream:
        """Begin an exchange; ``in_flight`` was counted by who chose this instance."""
        self._numbers += 1
        self.requests += 1
        if self.settings.policy == "per_request" and (used := measure(self.pid)) is not None:
            self._cpu_before_s = used.cpu_s
        stream = self._streams[self._numbers] = Stream(self._channel, self._numbers)
        if self.state == State.ENDED:
            stream.fail(self.failure())
        stream.say(Kind.OPEN, opening)
        return stream

    def left(self) -> None:
        """One exchange less."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self._idle_since = time.monotonic()
        if self.settings.policy == "oneshot" and self.requests:
            self.retire("oneshot")
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

    def kill(self, reason: EndReason) -> None:
        """End it at once."""
        if self._killed_for is None and not self.ended.done():
            self._killed_for = reason
            if self._process is not None:
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
        await asyncio.shield(self.ended)

    def usage(self, measured: Measured) -> Usage:
        """What it has used so far."""
        now = time.monotonic()
        return Usage(
            age_s=now - self._ready_at,
            cpu_s=measured.cpu_s - self._cpu_before_s,
            memory_bytes=measured.memory_bytes,
            requests=self.requests,
            idle_s=0.0
            if self.in_flight or self._pending or self.kind == "worker"
            else now - self._idle_since,
        )

    def failure(self) -> FunctionFailure:
        """What a request is told whose isolate has ended."""
        reason = self._killed_for or EndReason.CRASH
        if reason in _LIMITS:
            return LimitReached(f"The function was stopped at a limit: {reason}.", reason=reason)
        return FunctionDied("The function's process ended before it had answered.", reason=reason)

    async def _launch(self) -> None:
        ours, theirs = socket.socketpair()
        out_read, out_write = os.pipe()
        error_read, error_write = os.pipe()
        try:
            for stream, descriptor in (("stdout", out_read), ("stderr", error_read)):
                output = Output(self._journal, self.slug, self.execution_id, stream)
                await output.attach(descriptor)
                self._outputs.append(output)
            await self._channel.attach(ours)
            self._channel.send(Kind.BOOT, 0, msgspec.msgpack.encode(self._boot()))
            self._process = await self._launcher.launch(theirs, out_write, error_write)
        finally:
            theirs.close()
            os.close(out_write)
            os.close(error_write)
        self.pid = self._process.pid.result()
        self._life = asyncio.create_task(self._live(self._process))
        if self._killed_for is not None:
            self._process.kill()

    def _boot(self) -> Boot:
        limits = self.settings.limits
        per_request = self.settings.policy == "per_request"
        return Boot(
            slug=self.slug,
            path=str(self._source.path),
            folder=str(self._folder),
            execution_id=self.execution_id,
            env={**self._environment, **self.settings.env, "SB_EXECUTION_ID": self.execution_id},
            memory_bytes=int(limits.memory_mb * MEBIBYTE),
            cpu_s=0.0 if per_request else limits.cpu_hard_s,
            grace_s=limits.wall_clock_s or FOREVER_S,
        )

    async def _live(self, process: Process) -> None:
        """Wait for the end, and tell everybody."""
        ending = await process.ended
        reason = self._reason(ending)
        if self._killed_for is None:
            self._killed_for = reason
        self.state = State.ENDED
        if not self._booted.done():
            text = f"Its process ended while it was imported ({ending})."
            self._booted.set_exception(self._boot_failed(text, ""))
            self._booted.exception()  # seen, also when nobody waits any more
        for stream in list(self._streams.values()):
            stream.fail(self.failure())
        self._channel.abort()
        await self._finish_output()
        self._say(
            Event.FUNCTION_SHUTDOWN,
            reason=reason.value,
            cpu_time_s=round(ending.cpu_s, 3),
            memory_bytes=ending.max_rss_bytes,
            exit=str(ending),
        )
        self.ended.set_result(reason)
        self._on_change()

    def _reason(self, ending: Ending) -> EndReason:
        if self._killed_for is not None:
            return self._killed_for
        if not self._booted.done() or self._booted.exception() is not None:
            return EndReason.STARTUP_FAILURE
        if not ending.is_clean or (self._streams and not self._stopping):
            return EndReason.CRASH
        if self._asked_to_end:
            return EndReason.TERMINATION_REQUESTED
        if self.state == State.RETIRED and self.settings.policy != "oneshot":
            return EndReason.EARLY_DROP
        return EndReason.EVENT_LOOP_COMPLETED

    async def _finish_output(self) -> None:
        for output in self._outputs:
            try:
                async with asyncio.timeout(OUTPUT_S):
                    await output.ended.wait()
            except TimeoutError:
                output.close()

    async def _gone_within(self, seconds: float) -> bool:
        await asyncio.wait({self.ended}, timeout=seconds)
        return self.ended.done()

    def _stop_if_done(self) -> None:
        if self.state == State.RETIRED and not self.in_flight and not self._pending and self.kind != "worker":
            self._say_stop()

    def _say_stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._channel.send(Kind.STOP)
            asyncio.get_running_loop().call_later(UNLOAD_S, self.kill, EndReason.EARLY_DROP)

    def _on_frame(self, kind: int, number: int, payload: bytes) -> None:
        if number:
            self._on_stream_frame(kind, number, payload)
        elif kind == Kind.BOOTED and not self._booted.done():
            self._booted.set_result(msgspec.msgpack.decode(payload, type=Booted))
        elif kind == Kind.BOOT_FAILED and not self._booted.done():
            trouble = msgspec.msgpack.decode(payload, type=Trouble)
            self._booted.set_exception(self._boot_failed(trouble.summary, trouble.traceback))
            self._booted.exception()
        elif kind == Kind.PENDING:
            self._pending = int.from_bytes(payload, "little")
            self._stop_if_done()
        elif kind == Kind.WORKERS:
            self.worker_ids = msgspec.msgpack.decode(payload, type=list[str])
        elif kind == Kind.CLAIMING:
            self.claiming.set()

    def _on_stream_frame(self, kind: int, number: int, payload: bytes) -> None:
        stream = self._streams.get(number)
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
        stream.arrived(kind, payload)
        if kind == Kind.END:
            del self._streams[number]
            if self._killed_for is None:
                self.left()

    def _on_lost(self, _error: BaseException | None) -> None:
        """Its end of the channel is closed: it ends, or user code has closed it."""
        if self.state != State.ENDED:
            asyncio.get_running_loop().call_later(1.0, self._kill_silent)

    def _kill_silent(self) -> None:
        if self.state != State.ENDED:
            self.kill(EndReason.CRASH)

    def _boot_failed(self, text: str, traceback: str) -> BootFailed:
        self._say(Event.FUNCTION_BOOT_FAILED, error=text, traceback=traceback)
        return BootFailed("The function could not be started.", reason=EndReason.STARTUP_FAILURE, why=text)

    def _say(self, event: Event, **fields: Any) -> None:
        self._journal.say(event, function=self.slug, execution_id=self.execution_id, **fields)
