"""Connections that handlers borrow: a pool of what the worker has left, or, when nothing is left, the
settlements' own connection.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from postmill.client import asyncpg_connection
from postmill.db.lane import CONNECT_TIMEOUT_S
from postmill.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncpg.pool import PoolConnectionProxy

    from postmill.db.lane import Lane
    from postmill.model.address import Address

Borrowed: TypeAlias = "asyncpg.Connection | PoolConnectionProxy"

_borrowing: ContextVar[bool] = ContextVar("postmill_borrowing", default=False)


class HandlerConnections:
    """At most ``size`` connections, opened when needed. With ``size`` 0 handlers take turns on ``shared``."""

    def __init__(self, address: Address, size: int, shared: Lane) -> None:
        self._address = address
        self._size = size
        self._shared = shared
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._lent = 0

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Borrowed]:
        """A connection for a while. Raises :class:`Refused` for a second one inside the first when that could
        wait for ever.
        """
        if _borrowing.get() and self._lent >= self._size:
            raise Refused(
                "This handler holds a connection already, and there is no other left for handlers.",
                why="ctx.db and ctx.transaction() inside one another need two: handlers that hold one each"
                " could wait for each other for ever.",
                hint="Raise max_pg_connections, or use the connection you have.",
            )
        token = _borrowing.set(True)
        self._lent += 1
        try:
            if self._size == 0:
                async with self._shared.connection() as connection:
                    try:
                        yield connection
                    finally:
                        self._drop_unfinished(connection)
            else:
                pool = await self._opened()
                async with pool.acquire() as connection:
                    yield connection
        finally:
            self._lent -= 1
            _borrowing.reset(token)

    async def close(self) -> None:
        """Close all of them; what a handler still holds is cut."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    def _drop_unfinished(self, connection: asyncpg.Connection) -> None:
        """A transaction that a handler left open must not swallow settlements."""
        if not self._address.pooled and not connection.is_closed() and connection.is_in_transaction():
            connection.terminate()

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._address.url,
                    connect=asyncpg_connection.connect,
                    min_size=0,
                    max_size=self._size,
                    statement_cache_size=0 if self._address.pooled else 100,
                    timeout=CONNECT_TIMEOUT_S,
                    max_inactive_connection_lifetime=60,
                    server_settings={"application_name": "postmill handlers"},
                )
            return self._pool
