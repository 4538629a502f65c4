"""Notifications of one channel, as hints that end a rest. What misses one is found by a poll."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

    from postmill.db.hot.shared_connection import SharedConnection


class Hint:
    """Listens on a shared connection, again after each reconnect; not behind a pooler."""

    def __init__(self, shared: SharedConnection, channel: str, wake: Callable[[], object]) -> None:
        self._shared = shared
        self._channel = channel
        self._wake = wake
        self.arrives = False
        """Whether notifications arrive now."""
        shared.on_connect(self._listen)

    async def _listen(self, connection: asyncpg.Connection) -> None:
        self.arrives = not self._shared.address.pooled
        if self.arrives:
            await connection.add_listener(self._channel, self._heard)
            connection.add_termination_listener(self._cut)

    def _heard(self, *_notification: object) -> None:
        self._wake()

    def _cut(self, _connection: Any) -> None:
        """The connection has ended: what rests is woken, and opens the next one."""
        self.arrives = False
        self._wake()
