"""A service on a thread and an event loop of its own: it goes on when the owner's event loop is blocked."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.model.errors import Refused
from postmill.service.service import LONGEST_PAUSE_S, Service, error_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.service.events import Events

GREEN_THREADS = {
    "gevent": ("gevent.monkey", "is_module_patched", "threading"),
    "eventlet": ("eventlet.patcher", "is_monkey_patched", "thread"),
}
"""Libraries that put their own in the place of threads: the module and function that know, and the name that
they give to threads.
"""


def check_threads() -> None:
    """Raise :class:`Refused` where a thread is none of the operating system's."""
    for library, (module, function, name) in GREEN_THREADS.items():
        is_patched = getattr(sys.modules.get(module), function, None)
        if is_patched is not None and is_patched(name):
            raise Refused(
                f"Workers can't run in a process that {library} has patched.",
                why="Without a real thread for their heartbeat, leases are lost while a handler computes.",
                hint="Take its monkey patch out of what the worker imports, or run it in another process.",
            )


class ThreadedService(Service):
    """``start`` and ``stop`` are called on the loop of the owner, and so are ``on_failure`` and
    ``on_giving_up``; everything else runs on the thread.

    It is supervised on its thread. A service that has failed for good tells its owner, and is still started
    again until the owner stops it: the owner needs it to end in good order.
    """

    def __init__(self, events: Events | None = None) -> None:
        super().__init__(events)
        self._thread = threading.Thread(target=self._live, name=f"postmill {self.name}", daemon=True)
        self._owners_loop: asyncio.AbstractEventLoop | None = None
        self._woken: asyncio.Event | None = None
        """Of the loop on the thread."""
        self._asked_to_stop = threading.Event()
        self._ended = asyncio.Event()

    def start(self) -> None:
        """Begin, unless begun."""
        if self._owners_loop is None and not self._stopping:
            self._owners_loop = asyncio.get_running_loop()
            self._thread.start()

    def ask_to_stop(self) -> None:
        """See :class:`Service`."""
        self._asked_to_stop.set()
        super().ask_to_stop()

    async def wait_ended(self) -> None:
        """See :class:`Service`."""
        if self._thread.is_alive():
            await self._ended.wait()

    def cut(self) -> None:
        """See :class:`Service`."""
        task = self._task
        if task is not None:
            with suppress(RuntimeError):  # its loop has ended already
                task.get_loop().call_soon_threadsafe(task.cancel)

    def wake(self) -> None:
        """See :class:`Service`."""
        task, woken = self._task, self._woken
        if task is not None and woken is not None:
            with suppress(RuntimeError):  # its loop has ended already
                task.get_loop().call_soon_threadsafe(woken.set)

    # on the thread

    async def _main(self) -> None:
        """One life, on an event loop of its own."""
        await self._run()

    async def _one_life(self) -> None:
        self._woken, self._task = asyncio.Event(), asyncio.current_task()
        await self._main()

    def _live(self) -> None:
        while not self.is_over():
            self._begin_clock()
            try:
                asyncio.run(self._one_life())
            except BaseException as error:
                self._asked_to_stop.wait(self._pause_after(error))
        self._call(self._ended.set)

    def _pause_after(self, error: BaseException) -> float:
        """Nothing supervises the supervision: where it breaks itself, the next life begins after a pause."""
        from_outside = isinstance(error, asyncio.CancelledError) and error_of(self._task)[1]
        try:
            pause_s = self.account(error, from_outside=from_outside)
        except BaseException:
            return LONGEST_PAUSE_S
        return LONGEST_PAUSE_S if pause_s is None else pause_s

    def _call(self, action: Callable[..., object], *args: object) -> None:
        """On the loop of the owner."""
        if self._owners_loop is not None:
            with suppress(RuntimeError):  # that loop has ended
                self._owners_loop.call_soon_threadsafe(action, *args)
