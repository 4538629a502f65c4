"""One asyncpg connection for one kind of statement: opened when needed, used by one at a time, replaced when
it breaks.

It does not retry and does not wait: whoever uses it knows what a failure means. Every call has a time
limit, so a half-open connection is noticed.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.client import asyncpg_connection
from postmill.db.handler_session import HandlerSession
from postmill.db.outage import breaks_connection
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from postmill.model.address import Address

    OnConnect = Callable[[asyncpg.Connection], Awaitable[None]]

CONNECT_TIMEOUT_S = 5.0


class SharedConnection:
    """A connection that one service's statements share. Raises what asyncpg raises; see ``db.outage``."""

    def __init__(self, address: Address, name: str, *, timeout_s: float = 10.0) -> None:
        self._address = address
        self._name = name
        self._timeout_s = timeout_s
        self._connection: asyncpg.Connection | None = None
        self._busy = asyncio.Lock()
        self._on_connect: list[OnConnect] = []
        self.statements = 0
        """Statements sent, apart from those that open a connection and those run in :meth:`connection`."""
        self.sent_at = 0.0
        """When :meth:`fetchrow` sent its last statement, by the monotonic clock."""

    def on_connect(self, action: OnConnect) -> None:
        """Run ``action`` on each new connection before anybody uses it."""
        self._on_connect.append(action)

    async def fetchrow(self, text: str, *args: object) -> Any:
        """The first row of a statement, or None."""
        async with self.connection() as connection:
            self.statements += 1
            self.sent_at = time.monotonic()
            return await connection.fetchrow(text, *args, timeout=self._timeout_s)

    async def fetch(self, text: str, *args: object) -> list[Any]:
        """All rows of a statement."""
        async with self.connection() as connection:
            self.statements += 1
            return await connection.fetch(text, *args, timeout=self._timeout_s)

    async def execute(self, text: str, *args: object) -> None:
        """A statement without an answer."""
        async with self.connection() as connection:
            self.statements += 1
            await connection.execute(text, *args, timeout=self._timeout_s)

    @asynccontextmanager
    async def connection(self, *, pinned: bool = True) -> AsyncIterator[asyncpg.Connection]:
        """The connection for several statements, nobody else between them. Behind a pooler, in one
        transaction, where their plans are to be ``pinned``.
        """
        async with self._busy:
            connection = await self._open()
            try:
                if self._address.pooled and pinned:
                    async with connection.transaction():
                        await connection.execute(statement("session_pins", "local"), timeout=self._timeout_s)
                        yield connection
                else:
                    yield connection
            except BaseException as error:
                if breaks_connection(error) or not isinstance(error, Exception):
                    self._drop()
                raise

    async def close(self) -> None:
        """Close it, if it is open; the next statement opens it again."""
        async with self._busy:
            connection, self._connection = self._connection, None
            if connection is not None and not connection.is_closed():
                try:
                    await connection.close(timeout=2)
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    connection.terminate()

    async def _open(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._address = await with_known_pooler(self._address)
            connection = await connect(self._address, self._name, self._timeout_s)
            try:
                for action in self._on_connect:
                    await action(connection)
            except BaseException:
                connection.terminate()
                raise
            self._connection = connection
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def connect(address: Address, name: str, timeout_s: float | None = None) -> asyncpg.Connection:
    """A connection with the plans of hot statements pinned (directly), or without any session state (behind a
    pooler). ``timeout_s`` holds for every statement that has no limit of its own. Whether a pooler is there
    must be known: see :func:`with_known_pooler`.
    """
    connection = await asyncpg_connection.connect(
        address.url,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=timeout_s,
        connection_class=HandlerSession,
        statement_cache_size=0 if address.pooled else 100,
        server_settings={"application_name": f"postmill {name}"},
    )
    if not address.pooled:
        await connection.execute(statement("session_pins", "session"), timeout=CONNECT_TIMEOUT_S)
    return connection


async def with_known_pooler(address: Address) -> Address:
    """The address, and whether something stands between us and the server, whatever the address looks like.
    Asks by a connection of its own when that is not known yet: what a session is told behind a pooler stays
    with a server session that others get.
    """
    if address.pooled or address.stated:
        return address
    connection = await asyncpg_connection.connect(
        address.url, timeout=CONNECT_TIMEOUT_S, statement_cache_size=0
    )
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            found = await asyncpg_connection.is_behind_pooler(connection)
    finally:
        await connection.close(timeout=2)
    return replace(address, pooled=found, stated=True)
