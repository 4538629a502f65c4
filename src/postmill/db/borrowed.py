"""Connections that handlers borrow: a pool of what the worker has left, or, when nothing is left, the
settlements' own connection.

A handler gets one that works. While there is none to be had (an outage, a server or a pooler that is full) it
waits: that is the worker's trouble, and no failure of the message.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import asyncpg

from postmill.client import asyncpg_connection
from postmill.db.outage import is_passing
from postmill.db.shared_connection import CONNECT_TIMEOUT_S
from postmill.model.errors import Refused
from postmill.service.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncpg.pool import PoolConnectionProxy

    from postmill.db.shared_connection import SharedConnection
    from postmill.model.address import Address

Borrowed: TypeAlias = "asyncpg.Connection | PoolConnectionProxy"

CHECK_AFTER_S = 1.0
"""A connection that has rested for longer is tried before a handler gets it: it may have been cut without a
word.
"""

_borrowing: ContextVar[bool] = ContextVar("postmill_borrowing", default=False)


class Outage(Protocol):
    """Who tells people that there is no connection to be had, once, and once that there is."""

    def began(self, error: BaseException) -> None: ...

    def over(self) -> None: ...


class _Connection(asyncpg.Connection):
    """Knows when the server last answered on it."""

    heard_at: float


class HandlerConnections:
    """At most ``size`` connections, opened when needed. With ``size`` 0 handlers take turns on ``shared``."""

    def __init__(self, address: Address, size: int, shared: SharedConnection, outage: Outage) -> None:
        self._address = address
        self._size = size
        self._shared = shared
        self._outage = outage
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._lent = 0

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Borrowed]:
        """A connection for a while; waits until one can be had. Raises :class:`Refused` for a second one
        inside the first when that could wait for ever, and what asyncpg raises for what waiting won't mend.
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
            async with AsyncExitStack() as stack:
                yield await self._once_available(stack)
        finally:
            self._lent -= 1
            _borrowing.reset(token)

    async def close(self) -> None:
        """Close all of them; what a handler still holds is cut."""
        self._closed = True
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    async def _once_available(self, stack: AsyncExitStack) -> Borrowed:
        """Borrow as soon as the database lets us. ``stack`` gives it back."""
        backoff = Backoff(random.random)
        while True:
            try:
                lent = await stack.enter_async_context(
                    self._from_pool() if self._size else self._from_shared()
                )
            except Exception as error:
                if self._closed or not is_passing(error):
                    raise
                self._outage.began(error)
                await asyncio.sleep(backoff.next_delay_s())
            else:
                if backoff.failures:
                    self._outage.over()
                return lent

    @asynccontextmanager
    async def _from_shared(self) -> AsyncIterator[Borrowed]:
        async with self._shared.connection(pinned=False) as connection:
            try:
                yield connection
            finally:
                _drop_unfinished(connection)

    @asynccontextmanager
    async def _from_pool(self) -> AsyncIterator[Borrowed]:
        pool = await self._opened()
        connection = await pool.acquire()
        try:
            await self._check(connection)
            yield connection
        finally:
            await self._give_back(pool, connection)

    async def _check(self, connection: PoolConnectionProxy) -> None:
        """Raise, and drop the connection, when nobody answers on it any more."""
        heard_at: float = connection.heard_at  # type: ignore[attr-defined]  # the proxy passes it on
        if time.monotonic() - heard_at < CHECK_AFTER_S:
            return
        try:
            await connection.execute("select", timeout=CONNECT_TIMEOUT_S)
        except BaseException:
            connection.terminate()
            raise

    async def _give_back(self, pool: asyncpg.Pool, connection: PoolConnectionProxy) -> None:
        """What the handler did on it is done: that it can't be tidied up any more is no news to anybody."""
        try:
            await pool.release(connection, timeout=CONNECT_TIMEOUT_S)
        except Exception as error:
            if not is_passing(error):
                raise

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._address.url,
                    connect=asyncpg_connection.connect,
                    connection_class=_Connection,
                    init=_heard,
                    reset=self._reset,
                    min_size=0,
                    max_size=self._size,
                    statement_cache_size=0 if self._address.pooled else 100,
                    timeout=CONNECT_TIMEOUT_S,
                    max_inactive_connection_lifetime=60,
                    server_settings={"application_name": "postmill handlers"},
                )
            return self._pool

    async def _reset(self, connection: asyncpg.Connection) -> None:
        """Nothing of one handler's session reaches the next. A pooler's sessions are not ours to reset."""
        if not self._address.pooled:
            await connection.execute(connection.get_reset_query())
        await _heard(connection)


def _drop_unfinished(connection: asyncpg.Connection) -> None:
    """A transaction that a handler left open must not swallow settlements."""
    if not connection.is_closed() and connection.is_in_transaction():
        connection.terminate()


async def _heard(connection: Any) -> None:
    connection.heard_at = time.monotonic()
