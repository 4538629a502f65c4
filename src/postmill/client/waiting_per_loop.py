"""The waits for results of one client: in each event loop of their own, for a connection belongs to the loop
that has opened it; and for synchronous code in a thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.client import awaited
from postmill.client.waiting import FIRST_POLL_ALONE_S, POLL_S, Waiting

if TYPE_CHECKING:
    from postmill.client.awaited import Outcome, Ref
    from postmill.client.targets import AsyncExecutor, Executor


class WaitingPerLoop:
    """For an ``AsyncClient``."""

    def __init__(self, executor: AsyncExecutor) -> None:
        self._executor = executor
        self._waiting: dict[asyncio.AbstractEventLoop, Waiting] = {}

    async def outcome(self, ref: Ref, limit_s: float | None) -> Outcome:
        """As :meth:`Waiting.outcome`."""
        loop = asyncio.get_running_loop()
        if loop not in self._waiting:
            for ended in [other for other in self._waiting if other.is_closed()]:
                self._waiting.pop(ended, None)
            self._waiting[loop] = Waiting(self._executor)
        return await self._waiting[loop].outcome(ref, limit_s)

    async def close(self) -> None:
        """End the waits of all loops: of the running loop at once, of another one at its next turn."""
        here = asyncio.get_running_loop()
        for loop, waiting in list(self._waiting.items()):
            self._waiting.pop(loop, None)
            if loop is here:
                await waiting.close()
            elif loop.is_running():
                with suppress(RuntimeError):  # it was closed meanwhile
                    asyncio.run_coroutine_threadsafe(waiting.close(), loop)


class WaitingThread:
    """For a ``Client`` with an address: one more thread, and its connection, waits for all its threads."""

    def __init__(self, executor: AsyncExecutor) -> None:
        self._executor = executor
        self._loop = asyncio.SelectorEventLoop()
        self._waiting = Waiting(executor)
        self._thread = threading.Thread(target=self._loop.run_forever, name="postmill results", daemon=True)
        self._thread.start()

    def outcome(self, ref: Ref, limit_s: float | None) -> Outcome:
        """As :meth:`Waiting.outcome`."""
        waits = asyncio.run_coroutine_threadsafe(self._waiting.outcome(ref, limit_s), self._loop)
        try:
            return waits.result()
        finally:
            waits.cancel()

    def close(self) -> None:
        """End the waits and the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        await self._waiting.close()
        await self._executor.close()


def poll(executor: Executor, ref: Ref, limit_s: float | None) -> Outcome:
    """As :meth:`Waiting.outcome`, by polls alone: for a connection of the caller's."""
    if executor.in_transaction:
        raise awaited.in_transaction()
    until = None if limit_s is None else time.monotonic() + limit_s
    pause_s = FIRST_POLL_ALONE_S
    while True:
        (answer,) = executor.look(awaited.looking([ref]))
        found = awaited.outcome(answer)
        if not found.pending:
            return found
        left_s = pause_s if until is None else until - time.monotonic()
        if left_s <= 0:
            raise awaited.timed_out(ref, limit_s or 0.0, executor.look(awaited.asking_state(ref)))
        time.sleep(min(pause_s, left_s))
        pause_s = min(POLL_S, pause_s * 2)
