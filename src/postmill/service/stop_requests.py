"""Requests to stop, as they come by signals to every command that runs on and on: the first asks for the end,
another one forces, and an echo of one is none of its own.

GNU ``timeout`` signals its child and then the whole group, and so do some supervisors and shells. The second
signal follows within milliseconds. Read as a second request it would force the end, and cut what runs.

SIGHUP asks for the end, and never cuts it short: a reload may be asked for twice. It is left alone where it
does not kill: under ``nohup``, in a process of a fleet, in a program that has a use for it.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ECHO_S = 0.5
"""A signal so soon after a request is its echo, in seconds. 0.5 s: an echo takes milliseconds even on a busy
machine, and a person who wants to force waits to see what the first Ctrl-C did.
"""


class StopRequests:
    """Calls ``stop`` at each request; its echoes are dropped."""

    def __init__(self, stop: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._stop = stop
        self._clock = clock
        self._heard_at = float("-inf")

    def hear(self) -> None:
        """A signal has come."""
        now = self._clock()
        if now - self._heard_at >= ECHO_S:
            self._heard_at = now
            self._stop()


def listeners(
    stop: Callable[[], object], is_asked: Callable[[], bool]
) -> Mapping[signal.Signals, Callable[[], None]]:
    """What to call at each signal: it calls ``stop``. ``is_asked``: whether the end was asked for already."""
    requests = StopRequests(stop)

    def hang_up() -> None:
        if not is_asked():
            requests.hear()

    hears = {signal.SIGINT: requests.hear, signal.SIGTERM: requests.hear}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        hears[signal.SIGHUP] = hang_up
    return hears


@contextmanager
def heard(stop: Callable[[], object], is_asked: Callable[[], bool]) -> Iterator[None]:
    """Signals call ``stop`` on the running event loop, as :func:`listeners` says. In a thread that is not the
    main one they can't be received, and are left alone.
    """
    loop = asyncio.get_running_loop()
    taken = []
    for number, hear in listeners(stop, is_asked).items():
        with suppress(ValueError, RuntimeError, NotImplementedError):
            loop.add_signal_handler(number, hear)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


@contextmanager
def interrupted(stop: Callable[[], object], is_asked: Callable[[], bool]) -> Iterator[None]:
    """As :func:`heard` where no event loop runs: ``stop`` is called between two lines of the main thread, and
    may raise.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number, hear in listeners(stop, is_asked).items():
            before[number] = signal.signal(number, lambda *_, hear=hear: hear())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
