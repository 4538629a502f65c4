"""Notifications as hints: they end an idle worker's rest. Never the only way: a poll finds what a hint
missed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import asyncpg

    from postmill.db.lane import Lane

ROUND_TRIP_S = 2.0


class Wakeups:
    """Listens for several queues on one lane's connection, again after each reconnect."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._actions: dict[str, list[Callable[[], None]]] = {}
        self._echo: asyncio.Event | None = None
        self._on_cut: list[Callable[[], None]] = []
        lane.on_connect(self._listen)

    def subscribe(self, queue: str, action: Callable[[], None]) -> None:
        """Call ``action`` when something is sent to ``queue``, by our trigger or by pgmq's own."""
        for channel in (f"postmill.{queue}", f"pgmq.q_{queue.lower()}.INSERT"):
            self._actions.setdefault(channel, []).append(action)
        self._on_cut.append(action)

    async def works(self) -> bool:
        """Whether a notification sent now comes back. False behind a pooler, whatever it calls itself."""
        self._echo = asyncio.Event()
        await self._lane.close()  # the next connection listens to every queue subscribed by now
        await self._lane.execute(statement("notify_echo"))
        try:
            await asyncio.wait_for(self._echo.wait(), ROUND_TRIP_S)
        except TimeoutError:
            return False
        return True

    async def _listen(self, connection: asyncpg.Connection) -> None:
        for channel in self._channels():
            await connection.add_listener(channel, self._heard)
        connection.add_termination_listener(self._cut)

    def _channels(self) -> Iterable[str]:
        return (*self._actions, "postmill.echo")

    def _heard(self, _connection: Any, _pid: int, channel: str, _payload: object) -> None:
        if channel == "postmill.echo" and self._echo is not None:
            self._echo.set()
        for action in self._actions.get(channel, ()):
            action()

    def _cut(self, _connection: Any) -> None:
        """The connection has ended: whoever rests gets up, and opens the next one."""
        for action in self._on_cut:
            action()
