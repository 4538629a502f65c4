"""Starts and ends processes for isolates: forks of a zygote, or where forking is not wise, fresh ones.

Knows nothing of what runs in them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from signal import SIGKILL
from typing import TYPE_CHECKING, Protocol

import msgspec

from postmill.isolate.child import INHERITED
from postmill.isolate.zygote import Order, Report
from postmill.model.errors import PostmillError, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

READY_S = 30.0
"""How long the zygote may take to import what isolates need."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended."""

    status: int | None
    """As ``waitpid`` gives it; None: nobody could see it."""
    cpu_s: float = 0.0
    max_rss_bytes: int = 0

    @property
    def is_clean(self) -> bool:
        """It exited by itself with 0."""
        return self.status == 0

    def __str__(self) -> str:
        if self.status is None:
            return "unknown"
        code = os.waitstatus_to_exitcode(self.status)
        return f"exit {code}" if code >= 0 else f"signal {-code}"


class Process:
    """One process of an isolate."""

    def __init__(self, kill: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.pid: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[Ending] = loop.create_future()
        self.kill = kill
        """Kill its process group, at once and for good; what has left the group is ended after it."""

    def end(self, ending: Ending) -> None:
        """It is gone."""
        if not self.pid.done():
            self.pid.set_result(0)
        if not self.ended.done():
            self.ended.set_result(ending)


class Launcher(Protocol):
    """A way to start processes."""

    async def start(self) -> None:
        """Be ready to launch."""

    async def launch(self, channel: socket.socket, stdout: int, stderr: int) -> Process:
        """Start one; it has copies of the three descriptors, and nothing else of ours."""

    async def stop(self) -> None:
        """End every process that is left, and what starts them."""


def clean_environment() -> dict[str, str]:
    """What a fresh process of ours may know of the host's environment."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


class ForkLauncher:
    """Forks of one zygote, which is started again when it was killed."""

    def __init__(self, preload: Sequence[str], on_lost: Callable[[], None]) -> None:
        self._preload = preload
        self._on_lost = on_lost
        self._control: socket.socket | None = None
        self._zygote: subprocess.Popen[bytes] | None = None
        self._processes: dict[int, Process] = {}
        self._last = 0
        self._ready: asyncio.Future[None] | None = None
        self._order = asyncio.Lock()

    async def start(self) -> None:
        """See :class:`Launcher`. Raises :class:`PostmillError` when the zygote does not become ready."""
        async with self._order:
            if self._control is not None:
                return
            loop = asyncio.get_running_loop()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._zygote = subprocess.Popen(  # noqa: ASYNC220 - returns as soon as it is executed
                [sys.executable, "-P", "-m", "postmill.isolate.zygote", str(theirs.fileno()), *self._preload],
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            theirs.close()
            ours.settimeout(0)
            self._control = ours
            self._ready = loop.create_future()
            loop.add_reader(ours, self._read)
            await self._until_ready(self._zygote, self._ready)

    async def _until_ready(self, zygote: subprocess.Popen[bytes], ready: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(READY_S):
                await ready
        except BaseException as error:  # cancelled, for instance: nothing half started may stay
            self._close()
            _end(zygote)
            if isinstance(error, TimeoutError):
                raise TimedOut(
                    f"The process that isolates are forked from was not ready after {READY_S:g} s.",
                    hint="A module in [runtime] preload may wait for something when it is imported.",
                ) from error
            raise

    async def launch(self, channel: socket.socket, stdout: int, stderr: int) -> Process:
        """See :class:`Launcher`."""
        await self.start()
        self._last += 1
        number = self._last
        process = self._processes[number] = Process(lambda: self._tell(Order(number, kill=True)))
        self._tell(Order(number), [channel.fileno(), stdout, stderr])
        await process.pid
        return process

    async def stop(self) -> None:
        """See :class:`Launcher`."""
        if self._control is None or self._zygote is None:
            return
        zygote = self._zygote
        self._close()
        await asyncio.to_thread(_wait, zygote)

    def _tell(self, order: Order, descriptors: Sequence[int] = ()) -> None:
        if self._control is None:
            return
        try:
            socket.send_fds(self._control, [msgspec.json.encode(order)], descriptors)
        except BlockingIOError:  # hundreds of orders at once
            asyncio.get_running_loop().call_later(0.005, self._tell, order, descriptors)
        except OSError:
            self._lost()

    def _read(self) -> None:
        while self._control is not None:
            try:
                data = self._control.recv(65_536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lost()
                return
            self._heard(msgspec.json.decode(data, type=Report))

    def _heard(self, report: Report) -> None:
        if report.isolate == 0:
            if self._ready is not None and not self._ready.done():
                self._ready.set_result(None)
            return
        process = self._processes.get(report.isolate)
        if process is None:
            return
        if report.status is None:
            process.pid.set_result(report.pid)
        else:
            del self._processes[report.isolate]
            process.end(Ending(report.status, report.cpu_s, report.max_rss_bytes))

    def _lost(self) -> None:
        """The zygote was killed, and the kernel has killed its isolates."""
        zygote = self._zygote
        self._close()
        if zygote is not None:
            _end(zygote)
        self._on_lost()
        if self._ready is not None and not self._ready.done():
            text = "The process that isolates are forked from has ended before it was ready."
            self._ready.set_exception(PostmillError(text))

    def _close(self) -> None:
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()
        self._control = None
        processes, self._processes = self._processes, {}
        for process in processes.values():
            process.end(Ending(None))


class SpawnLauncher:
    """A fresh process for each isolate: slower to start, and possible everywhere."""

    async def start(self) -> None:
        """See :class:`Launcher`."""

    async def launch(self, channel: socket.socket, stdout: int, stderr: int) -> Process:
        """See :class:`Launcher`."""
        child = subprocess.Popen(  # noqa: ASYNC220 - returns as soon as it is executed
            [sys.executable, "-P", "-m", "postmill.isolate.child", str(channel.fileno())],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=[channel.fileno()],
            start_new_session=True,
        )
        process = Process(lambda: _kill_group(child.pid))
        process.pid.set_result(child.pid)
        loop = asyncio.get_running_loop()
        threading.Thread(target=_watch, args=(child, process, loop), daemon=True).start()
        return process

    async def stop(self) -> None:
        """See :class:`Launcher`."""


def _watch(child: subprocess.Popen[bytes], process: Process, loop: asyncio.AbstractEventLoop) -> None:
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    _kill_group(child.pid)  # before its number can be given to another
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    rss = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    ending = Ending(status, usage.ru_utime + usage.ru_stime, rss)
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(process.end, ending)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, SIGKILL)


def _end(zygote: subprocess.Popen[bytes]) -> None:
    zygote.kill()
    zygote.wait()


def _wait(zygote: subprocess.Popen[bytes]) -> None:
    """The zygote ends everything and itself when its socket closes."""
    try:
        zygote.wait(5)
    except subprocess.TimeoutExpired:
        _end(zygote)


def launcher(preload: Sequence[str], on_lost: Callable[[], None]) -> Launcher:
    """The best way on this platform. On macOS a forked process may crash in the
    system's own libraries.
    """
    return ForkLauncher(preload, on_lost) if sys.platform == "linux" else SpawnLauncher()
