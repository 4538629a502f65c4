"""Processes for isolates as forks of one zygote: its start, the orders to it, and its reports of ends.

Knows nothing of what runs in them.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from postmill.host.launch.launcher import Ending, Process, clean_environment
from postmill.host.launch.zygote_orders import Orders
from postmill.model.errors import PostmillError, TimedOut
from postmill.wire.orders import Order, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

END_S = 5.0
"""How long the zygote may take to end its isolates, in seconds. It kills them at once; after 5 s the zygote
itself is killed, and the kernel ends its isolates.
"""
READY_S = 30.0
"""How long the zygote may take to import the modules that isolates need, in seconds. Postmill's own take half
a second; 30 s leave room for large libraries in ``preload``.
"""


class ForkLauncher:
    """Forks of one zygote, which is started again when it was killed."""

    def __init__(self, preload: Sequence[str], on_lost: Callable[[], None]) -> None:
        self._preload = preload
        self._on_lost = on_lost
        self._control: socket.socket | None = None
        self._orders: Orders | None = None
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
            self._orders = Orders(ours, self._lost)
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

    async def launch(self, channel: socket.socket, stdout: int, stderr: int, records: int) -> Process:
        """See :class:`Launcher`."""
        await self.start()
        self._last += 1
        number = self._last
        process = self._processes[number] = Process(lambda: self._tell(Order(number, kill=True)))
        self._tell(Order(number), [channel.fileno(), stdout, stderr, records])
        try:
            await asyncio.shield(process.pid)
        except asyncio.CancelledError:  # it may be forked all the same, and would be left behind
            process.kill()
            raise
        return process

    async def stop(self) -> None:
        """See :class:`Launcher`."""
        if self._control is None or self._zygote is None:
            return
        zygote = self._zygote
        self._close()
        await asyncio.to_thread(_wait, zygote)

    def _tell(self, order: Order, descriptors: Sequence[int] = ()) -> None:
        if self._orders is not None:
            self._orders.give(order, descriptors)

    def _read(self) -> None:
        while self._control is not None:
            try:
                data = self._control.recv(65_536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            try:
                report = msgspec.json.decode(data, type=Report)
            except msgspec.MsgspecError:  # closed, or no report of the zygote: it can't be trusted any more
                self._lost()
                return
            self._heard(report)

    def _heard(self, report: Report) -> None:
        if report.isolate == 0:
            if self._ready is not None and not self._ready.done():
                self._ready.set_result(None)
            return
        process = self._processes.get(report.isolate)
        if process is None:
            return
        if report.status is None:
            if not process.pid.done():
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
        if self._orders is not None:
            self._orders.close()
        self._control = self._orders = None
        processes, self._processes = self._processes, {}
        for process in processes.values():
            process.end(Ending(None))


def _end(zygote: subprocess.Popen[bytes]) -> None:
    zygote.kill()
    zygote.wait()


def _wait(zygote: subprocess.Popen[bytes]) -> None:
    """The zygote ends everything and itself when its socket closes."""
    try:
        zygote.wait(END_S)
    except subprocess.TimeoutExpired:
        _end(zygote)
