"""The process that isolates are forked from: ``python -m postmill.isolate.zygote <descriptor>``.

The host executes it afresh with a clean environment, so neither its environment nor its memory holds anything
of the host. It has imported what every isolate needs, has one thread, and runs no user code. It takes orders
from one socket (start, kill) and reports every end. It also ends the processes that an ended isolate leaves
behind: these become its children, whatever session they are in. When the host is gone, it ends everything and
itself.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import msgspec

from postmill.isolate import child
from postmill.isolate import confinement as process
from postmill.model.error_text import summary_of
from postmill.wire.orders import Order, Report

ORPHANS_S = 1.0
"""How long the report of an isolate's end waits for the processes that it left behind, in seconds. They are
killed at once; 1 s later they hang in the kernel, and the host must be told anyway.
"""
_LOOK_AGAIN_MS = 5
"""Milliseconds between two looks while an end is being reported: orphans of a killed process arrive within
one or two.
"""
_FULL = 64 * 1024
"""Bytes that one order may have. 64 KiB: an order is a few hundred bytes of JSON, and the socket keeps orders
apart.
"""


class Zygote:
    """The loop over orders and ends."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._pids: dict[int, int] = {}
        """Isolates that run, by process."""
        self._ended: list[tuple[float, Report]] = []
        self._woken, self._wake = socket.socketpair()

    def run(self) -> None:
        """Until the host is gone."""
        self._listen_to_ends()
        self._tell(Report(0, os.getpid()))
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(_LOOK_AGAIN_MS if self._ended else None)}
            if self._woken.fileno() in ready:
                self._woken.recv(4096)
            self._reap()
            if self._control.fileno() in ready and not self._obey():
                break
        self._end_all()

    def _listen_to_ends(self) -> None:
        self._woken.settimeout(0)
        self._wake.settimeout(0)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the host decides

    def _obey(self) -> bool:
        """Take one order. Returns False when the host is gone."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, _FULL, 4)
        except ConnectionError:
            return False
        if not data:
            return False
        order = msgspec.json.decode(data, type=Order)
        if order.kill:
            self._kill(order.isolate)
        else:
            self._start(order.isolate, descriptors)
        return True

    def _start(self, isolate: int, descriptors: list[int]) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                child.main(*process.detach(descriptors, parent))
            finally:
                os._exit(70)
        for descriptor in descriptors:
            os.close(descriptor)
        self._pids[pid] = isolate
        self._tell(Report(isolate, pid))

    def _kill(self, isolate: int) -> None:
        for pid, number in self._pids.items():
            if number == isolate:
                _kill_group(pid)

    def _reap(self) -> None:
        """Take every end there is, and report those whose left-behind processes are gone, or could not be
        ended in time.
        """
        while (pid := _next_ended()) is not None:
            if pid in self._pids:
                _kill_group(pid)  # before its number can be given to another
            _, status, usage = os.wait4(pid, 0)
            isolate = self._pids.pop(pid, None)
            if isolate is not None:
                cpu_s = usage.ru_utime + usage.ru_stime
                report = Report(isolate, pid, status, cpu_s, usage.ru_maxrss * 1024)
                self._ended.append((time.monotonic() + ORPHANS_S, report))
        if not self._ended:
            return
        clean = not self._end_orphans()
        now = time.monotonic()
        for until, report in self._ended:
            if clean or now >= until:
                self._tell(report)
        self._ended = [] if clean else [(until, report) for until, report in self._ended if now < until]

    def _end_orphans(self) -> bool:
        """Kill every child that is no isolate: the processes that a dead isolate has left. Returns whether
        there were any.
        """
        orphans = [pid for pid in _children() if pid not in self._pids]
        for pid in orphans:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(orphans)

    def _end_all(self) -> None:
        for pid in self._pids:
            _kill_group(pid)
        while True:
            self._end_orphans()
            try:
                pid, _ = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            self._pids.pop(pid, None)

    def _tell(self, report: Report) -> None:
        with suppress(OSError):  # the host is gone: the next read says so
            self._control.send(msgspec.json.encode(report))


def _next_ended() -> int | None:
    with suppress(ChildProcessError):
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return ended.si_pid if ended is not None else None
    return None


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # not yet the leader of a group


def _children() -> list[int]:
    """Living and ended children of this process."""
    own = str(os.getpid())
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names only
        if entry.isdigit():
            with suppress(OSError, IndexError):
                stat = Path(f"/proc/{entry}/stat").read_text(encoding="ascii", errors="replace")
                if stat.rpartition(")")[2].split()[1] == own:
                    found.append(int(entry))
    return found


def _preload(module: str) -> None:
    """Import a module of the user's. When that fails, it is reported, and the functions that need the module
    will fail.
    """
    try:
        import_module(module)
    except BaseException as error:  # also SystemExit: a module must not end the zygote
        text = f"postmill: {module} can't be preloaded: {summary_of(error)}"
        print(text, file=sys.stderr, flush=True)


def main() -> None:
    """The zygote's whole life."""
    control = socket.socket(fileno=int(sys.argv[1]))
    process.adopt_orphans()
    child.preload()
    for module in sys.argv[2:]:
        _preload(module)
    gc.collect()
    gc.freeze()
    Zygote(control).run()


if __name__ == "__main__":
    main()
