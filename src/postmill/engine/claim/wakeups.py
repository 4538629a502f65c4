"""Notifications as hints: they end an idle worker's rest. A poll finds the messages whose notification was
missed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from postmill.model.queue.queue_name import clipped
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.claim.claimer import Claimer

ROUND_TRIP_S = 2.0
"""How long a worker's own notification may take to come back, in seconds. It takes one round trip; after 2 s
a pooler has kept it, and the worker polls.
"""
_ECHO = "postmill.echo"


class Wakeups:
    """Listens for several workers on one shared connection, again after each reconnect."""

    def __init__(self, shared: SharedConnection) -> None:
        self._shared = shared
        self._callbacks: dict[str, list[Callable[..., None]]] = {clipped(_ECHO): [self._echoed]}
        self._echo = asyncio.Event()
        self.on_cut: list[Callable[[], object]] = []
        """Called when the connection has ended."""
        shared.on_connect(self._listen)

    def subscribe(self, claimer: Claimer, queue: str) -> None:
        """Tell ``claimer`` of sends to ``queue``, by Postmill's trigger or by pgmq's, which wakes all
        workers, and of other changes of the queue. The driver calls the claimer's own methods.
        """
        self._on(f"postmill.worker.{claimer.worker_id}", claimer.notify)
        self._on(f"pgmq.q_{queue.lower()}.INSERT", claimer.wake_to_claim)
        self._on(f"postmill.{queue}", claimer.poll_now)
        self.on_cut.append(claimer.cut_off)

    async def begin(self) -> bool:
        """Listen, on a new connection, for every worker subscribed. Returns whether notifications come."""
        await self._shared.close()
        return await self.check()

    async def check(self) -> bool:
        """Whether a notification that is sent now comes back. It does not behind a transaction pooler."""
        self._echo.clear()
        await self._shared.execute(statement("notify_echo"))
        try:
            async with asyncio.timeout(ROUND_TRIP_S):
                await self._echo.wait()
        except TimeoutError:
            return False
        return True

    def _on(self, channel: str, callback: Callable[..., None]) -> None:
        self._callbacks.setdefault(clipped(channel), []).append(callback)

    async def _listen(self, connection: asyncpg.Connection) -> None:
        for channel, callbacks in self._callbacks.items():
            for callback in callbacks:
                await connection.add_listener(channel, callback)
        connection.add_termination_listener(self._cut)

    def _echoed(self, *_notification: object) -> None:
        self._echo.set()

    def _cut(self, _connection: Any) -> None:
        """The connection has ended: workers that rest are woken, and open the next one."""
        for action in self.on_cut:
            action()
