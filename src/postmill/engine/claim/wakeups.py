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
        self._actions: dict[str, list[Callable[[object], object]]] = {}
        self._echo = asyncio.Event()
        self.on_cut: list[Callable[[], object]] = []
        """Called when the connection has ended."""
        shared.on_connect(self._listen)

    def subscribe(self, claimer: Claimer, queue: str) -> None:
        """Tell ``claimer`` of sends to ``queue``, by Postmill's trigger or by pgmq's, which wakes all
        workers, and of other changes of the queue.
        """
        told = {"claim": claimer.wake_to_claim, "standby": claimer.standby}.get
        self._on(
            f"postmill.worker.{claimer.worker_id}", lambda payload: told(str(payload), claimer.poll_now)()
        )
        self._on(f"pgmq.q_{queue.lower()}.INSERT", lambda _: claimer.wake_to_claim())
        self._on(f"postmill.{queue}", lambda _: claimer.poll_now())
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

    def _on(self, channel: str, action: Callable[[object], object]) -> None:
        self._actions.setdefault(clipped(channel), []).append(action)

    async def _listen(self, connection: asyncpg.Connection) -> None:
        for channel in (*self._actions, _ECHO):
            await connection.add_listener(channel, self._heard)
        connection.add_termination_listener(self._cut)

    def _heard(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        if channel == _ECHO:
            self._echo.set()
        for action in self._actions.get(channel, ()):
            action(payload)

    def _cut(self, _connection: Any) -> None:
        """The connection has ended: workers that rest are woken, and open the next one."""
        for action in self.on_cut:
            action()
