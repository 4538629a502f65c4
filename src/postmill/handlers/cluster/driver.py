"""The driver's process as its worker sees it: started, watched, and replaced when it ends or falls silent."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from postmill.engine.backend import Backend
from postmill.handlers.cluster.orders import (
    Boot,
    Kind,
    Order,
    Ready,
    Refusal,
    Said,
    decode_ending,
    decode_said,
    encode,
)
from postmill.model.errors import InvalidOption, Refused
from postmill.model.events import Event
from postmill.service.events import Events
from postmill.wire.channel import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from postmill.handlers.cluster.orders import Ending

ADDRESS_VARIABLE = "RAY_ADDRESS"
"""Names the cluster, in the environment: Ray's own variable."""
INSTALL = "pip install 'postmill[ray]'"
PROGRAM = (sys.executable, "-m", "postmill.handlers.cluster.driver_process")
LOOK_S = 1.0
"""Seconds between two looks at the driver. 1 s: it says that the head answers as often."""
SILENCE_S = 10.0
"""The head is lost when the driver has not said for so long that it answers, in seconds. 10 s: a busy machine
is slow to say it, and a head that is restarted behind a database of its own is back within that time.
"""
CONNECT_S = 60.0
"""How long a driver may take to say anything, in seconds. It imports Ray and waits for Ray's own connections,
which takes a second, and a busy machine many.
"""


class DriverLost(Exception):
    """The driver's process, or the cluster's head, is gone, and the task with it."""


class Call:
    """One task, as its worker sees it."""

    def __init__(self, number: int, on_said: Callable[[Said], None]) -> None:
        self.number = number
        self.on_said = on_said
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()


class _Child:
    """One driver's process."""

    def __init__(self, program: tuple[str, ...]) -> None:
        self.sock, far_end = socket.socketpair()
        with far_end:
            self.process = subprocess.Popen(
                [*program, str(far_end.fileno())],
                pass_fds=[far_end.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches the whole group: the worker drains first
            )
        self.heard_at = time.monotonic()
        self.silence_s = CONNECT_S
        self.channel: Channel | None = None
        self.gone = False

    def end(self) -> str:
        """End it at once, and its tasks with it; returns how it has ended."""
        was_over = self.process.poll() is not None
        self.process.kill()
        self.process.wait()
        if self.channel is not None:
            self.channel.abort()
        else:
            self.sock.close()
        return f"its driver ended with {self.process.returncode}" if was_over else "its driver was ended"


class Driver(Backend):
    """A worker's connection to a Ray cluster: one driver at a time, and the calls that run in it."""

    def __init__(
        self,
        address: str,
        needs: Sequence[Mapping[str, float]],
        events: Events | None = None,
        *,
        program: tuple[str, ...] = PROGRAM,
    ) -> None:
        super().__init__(events)
        path = [str(Path(folder).absolute()) for folder in sys.path]
        self._boot = Boot(address, path, [dict(each) for each in needs])
        self._program = program
        self._events = events or Events()
        self._child: _Child | None = None
        self._calls: dict[int, Call] = {}
        self._numbers = count(1)
        self._woken = asyncio.Event()
        self._known = asyncio.Event()
        self._away: str | None = f"the Ray cluster at {address} is being connected to"
        self._refused: Refusal | None = None
        self.lacking = ""
        """What no machine of the cluster has, in words; empty: all is there."""

    @property
    def away(self) -> str | None:
        """See :class:`Backend`."""
        return self._away

    @property
    def pid(self) -> int | None:
        """The process that speaks to the cluster now; None while there is none."""
        return None if self._child is None else self._child.process.pid

    async def answered(self) -> None:
        """See :class:`Backend`."""
        await self._known.wait()
        if self._refused is not None:
            raise Refused(self._refused.what, why=self._refused.why, hint=self._refused.hint)

    def begin(self, order: Callable[[int], Order], on_said: Callable[[Said], None]) -> Call:
        """Begin a task. Raises :class:`DriverLost` when there is no driver."""
        if self._child is None or self._child.channel is None or self._away is not None:
            raise DriverLost(self._away or "")
        call = Call(next(self._numbers), on_said)
        self._calls[call.number] = call
        self._child.channel.send(Kind.RUN, call.number, encode(order(call.number)))
        return call

    def cancel(self, call: Call, *, force: bool) -> None:
        """Interrupt a task, or end its process."""
        if self._child is not None and self._child.channel is not None and call.number in self._calls:
            self._child.channel.send(Kind.KILL if force else Kind.CANCEL, call.number)

    async def run_once(self) -> bool:
        """Start a driver if there is none, and end one that is gone or silent."""
        child = self._child
        if child is not None and (child.gone or self._is_silent(child)):
            self._lose(child)
        elif child is None:
            await self._start()
        return False

    async def rest(self) -> None:
        """See :class:`Service`."""
        self._woken.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._woken.wait()

    def wake(self) -> None:
        """See :class:`Service`."""
        self._woken.set()

    async def stop(self) -> None:
        """See :class:`Service`. The driver ends, and what still runs in it."""
        await super().stop()
        if self._child is not None:
            self._lose(self._child)  # what is known of the cluster stays known

    async def _start(self) -> None:
        self._child = child = _Child(self._program)
        channel = Channel(
            lambda kind, number, payload: self._on_frame(child, kind, number, payload),
            lambda _: self._on_lost(child),
        )
        await channel.attach(child.sock)
        child.channel = channel
        channel.send(Kind.BOOT, 0, encode(self._boot))

    def _is_silent(self, child: _Child) -> bool:
        return time.monotonic() - child.heard_at > child.silence_s

    def _on_lost(self, child: _Child) -> None:
        child.gone = True
        self._woken.set()

    def _on_frame(self, child: _Child, kind: int, number: int, payload: bytes) -> None:
        child.heard_at = time.monotonic()
        match kind:
            case Kind.ENDED:
                self._ended(number, decode_ending(payload))
            case Kind.SAID:
                call = self._calls.get(number)
                if call is not None:
                    call.on_said(decode_said(payload))
            case Kind.READY:
                child.silence_s = SILENCE_S
                self._ready(msgspec.msgpack.decode(payload, type=Ready))
            case Kind.AWAY:
                child.silence_s = float("inf")  # it waits for a port, and says no more before that
                self._change(f"the Ray cluster does not answer ({payload.decode()})")
            case Kind.REFUSED:
                self._refused = msgspec.msgpack.decode(payload, type=Refusal)
                self._change(f"{self._refused.what} {self._refused.why}")

    def _ready(self, ready: Ready) -> None:
        self.lacking = ready.lacking
        if ready.lacking:
            self._events.emit(Event.CLUSTER_LACKS, lacking=ready.lacking, address=self._boot.address)
        self._refused = None
        self._change(None)

    def _ended(self, number: int, ending: Ending) -> None:
        call = self._calls.pop(number, None)
        if call is not None and not call.ended.done():
            call.ended.set_result(ending)

    def _change(self, away: str | None) -> None:
        was_known, was_away = self._known.is_set(), self._away
        self._away = away
        self._known.set()
        if away is None and was_known:
            self._events.emit(Event.CLUSTER_BACK, address=self._boot.address)
        elif away is not None and (was_away is None or not was_known):
            self._events.emit(Event.CLUSTER_LOST, address=self._boot.address, reason=away)
        if (away is None) != (was_away is None):
            for tell in self.on_change:
                tell()

    def _lose(self, child: _Child) -> None:
        """The driver is gone: so are its tasks."""
        self._child = None
        silent = not child.gone
        how = child.end()
        if not self.is_over() and self._refused is None:
            reason = f"its head has not answered for {SILENCE_S:g} s" if silent else how
            self._change(f"the Ray cluster at {self._boot.address} is lost: {reason}")
        calls, self._calls = self._calls, {}
        for call in calls.values():
            if not call.ended.done():
                call.ended.set_exception(DriverLost(how))


def is_installed() -> bool:
    """Whether this environment has Ray. Does not import it."""
    return find_spec("ray") is not None


def driver_for(needs: Sequence[Mapping[str, float]], events: Events) -> Driver:
    """The driver of a worker for the cluster that the environment names. ``needs``: what the tasks of each of
    its functions need.
    Raises :class:`Refused` without Ray, and :class:`InvalidOption` for an address that names no cluster.
    """
    if not is_installed():
        raise Refused(
            "executor='ray' needs the package ray, which is not installed.",
            why="A worker that runs a handler or a step on Ray starts a Ray driver beside it.",
            hint=f"Install it: {INSTALL}",
        )
    return Driver(_address(os.environ.get(ADDRESS_VARIABLE, "")), needs, events)


def _address(given: str) -> str:
    if not given or given == "local":
        raise InvalidOption(
            f"{ADDRESS_VARIABLE} names no cluster.",
            why="executor='ray' runs functions on a cluster that is there, and starts none.",
            hint=f"Set {ADDRESS_VARIABLE}=HOST:6379 (what `ray start --head` prints).",
        )
    if "://" in given:
        raise InvalidOption(
            f"{ADDRESS_VARIABLE}={given} is an address of the Ray Client.",
            why="A worker connects to the cluster itself.",
            hint="Give the head's own address, such as HOST:6379, from a machine of the cluster.",
        )
    return given
