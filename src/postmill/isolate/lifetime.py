"""What user code can say about its isolate's life: work that outlasts a response, and what to do at the end.

Outside an isolate (a test, another server) the same names work, but the work is not waited for.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from postmill.model.error_text import summary_of
from postmill.model.events import Event
from postmill.service.events import Events

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    _Listener = TypeVar("_Listener", bound=Callable[..., Any])

_events = Events()
"""Of this process: its log lines go to the host, which reports them under the function's name."""
LISTENER_S = 5.0
"""How long one ``on_beforeunload`` listener may take, in seconds. A listener saves state or closes a
connection, which takes milliseconds; after 5 s it hangs, and the next listener gets its turn.
"""


class Lifetime:
    """The work under way and the listeners of one process."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.on_pending: Callable[[int], None] = lambda _count: None
        """Told how much work there is, whenever that changes."""
        self.before_unload: list[Callable[..., Any]] = []
        self.unload: list[Callable[..., Any]] = []
        self.forked: list[Callable[[], object]] = []
        """Called in each isolate before its function is loaded."""
        self._tasks: set[asyncio.Future[Any]] = set()

    def add(self, work: asyncio.Future[Any]) -> None:
        """Keep the isolate alive until ``work`` is done."""
        self._tasks.add(work)
        work.add_done_callback(self._done)
        self.on_pending(len(self._tasks))

    async def tell(self, listeners: list[Callable[..., Any]], *args: object) -> None:
        """Call listeners one after the other. An error that one raises is logged, and the next one is
        called.
        """
        for listener in listeners:
            try:
                answer = listener(*args)
                if inspect.isawaitable(answer):
                    async with asyncio.timeout(LISTENER_S):
                        await answer
            except Exception as error:
                say_uncaught(error, "a listener")

    def _done(self, work: asyncio.Future[Any]) -> None:
        self._tasks.discard(work)
        self.on_pending(len(self._tasks))
        if not work.cancelled() and (error := work.exception()) is not None:
            say_uncaught(error, "wait_until")


lifetime = Lifetime()
"""Of this process."""


def say_uncaught(error: BaseException, where: str) -> None:
    """Log what user code raised where no caller is left to get the error."""
    _events.emit(Event.FUNCTION_UNCAUGHT, exception=error, where=where, error=summary_of(error))


def wait_until(work: Awaitable[Any]) -> asyncio.Future[Any]:
    """Let ``work`` go on after the response; the isolate is not retired before it is done. Returns its task.

    From a thread (a plain ``def`` handler) it works too, and the future that is returned belongs to the loop.
    """
    try:
        task = asyncio.ensure_future(work)
    except RuntimeError:
        if lifetime.loop is None:
            raise
        return asyncio.run_coroutine_threadsafe(_added(work), lifetime.loop).result()
    lifetime.add(task)
    return task


async def _added(work: Awaitable[Any]) -> asyncio.Future[Any]:
    task = asyncio.ensure_future(work)
    lifetime.add(task)
    return task


def on_beforeunload(listener: _Listener) -> _Listener:
    """Call ``listener(reason)`` when a limit is near: ``wall_clock``, ``cpu``, ``memory`` or ``termination``.

    Also a decorator; a plain or an ``async`` function.
    """
    lifetime.before_unload.append(listener)
    return listener


def on_unload(listener: _Listener) -> _Listener:
    """Call ``listener()`` last of all, before a planned end of the isolate. Also a decorator."""
    lifetime.unload.append(listener)
    return listener


def after_fork(listener: _Listener) -> _Listener:
    """Call ``listener()`` in each isolate before its function is loaded: for what a preloaded module must not
    share with other isolates, such as a random generator or a connection. Also a decorator. What it raises
    fails the start. ``random`` and the global generators of numpy and torch are reseeded without it.
    """
    lifetime.forked.append(listener)
    return listener
