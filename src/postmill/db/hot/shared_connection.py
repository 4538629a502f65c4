"""One asyncpg connection for one kind of statement: opened when needed, used by one at a time, replaced when
it breaks.

It does not retry and does not wait: the caller knows what a failure means. Every call has a time limit, which
grows with what is sent, so a half-open connection is noticed.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.client.asyncpg_connection import open_connection, with_known_pooler
from postmill.db.hot.handler_session import HandlerSession
from postmill.db.hot.outage import breaks_connection
from postmill.db.hot.statement_size import limit_s
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from postmill.model.config.address import Address

    OnConnect = Callable[[asyncpg.Connection], Awaitable[None]]

_PLAIN = asyncpg.Connection
"""asyncpg's methods, past those of ``HandlerSession``: a statement of the worker's own leaves nothing behind
that they would have to note.
"""
CONNECT_TIMEOUT_S = 5.0
"""How long opening a connection may take, in seconds. 5 s: half of the shortest silence after which a worker
is judged to be gone (``model.queue.silence.JUDGED_S``), so that one failed try costs no lease.
"""
BRIEF = "session_waits"
"""Limits waits for locks where several queues share a connection."""
SETTLING = "settlement_waits"
"""Limits waits for locks where outcomes are written."""


class SharedConnection:
    """A connection that one service's statements share. Raises what asyncpg raises; see ``db.hot.outage``."""

    def __init__(
        self, address: Address, name: str, *, timeout_s: float = 10.0, lock_limit: str | None = None
    ) -> None:
        """``timeout_s``: how long a small statement may take; see ``db.hot.statement_size``. ``lock_limit``:
        what limits its waits for locks, ``BRIEF`` or ``SETTLING``; None: nothing.
        """
        self._address = address
        self._name = name
        self._timeout_s = timeout_s
        self._lock_limit = lock_limit
        self._connection: asyncpg.Connection | None = None
        self._busy = asyncio.Lock()
        self._on_connect: list[OnConnect] = []
        self.statements = 0
        """Statements sent, apart from those that open a connection and those run in :meth:`connection`."""
        self.sent_at = 0.0
        """When :meth:`fetchrow` sent its last statement, by the monotonic clock."""

    @property
    def address(self) -> Address:
        """Where it connects to. Whether a pooler stands there is known once it has connected."""
        return self._address

    def on_connect(self, action: OnConnect) -> None:
        """Run ``action`` on each new connection before its first use."""
        self._on_connect.append(action)

    async def fetchrow(self, text: str, *args: object) -> Any:
        """The first row of a statement, or None."""
        async with self.connection() as connection:
            self.statements += 1
            self.sent_at = time.monotonic()
            return await _PLAIN.fetchrow(connection, text, *args, timeout=limit_s(self._timeout_s, args))

    async def fetch(self, text: str, *args: object) -> list[Any]:
        """All rows of a statement."""
        async with self.connection() as connection:
            self.statements += 1
            return await _PLAIN.fetch(connection, text, *args, timeout=limit_s(self._timeout_s, args))

    async def execute(self, text: str, *args: object) -> None:
        """A statement without an answer."""
        async with self.connection() as connection:
            self.statements += 1
            await _PLAIN.execute(connection, text, *args, timeout=limit_s(self._timeout_s, args))

    def connection(self, *, pinned: bool = True) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """The connection for several statements, with no statement of another task between them. Behind a
        pooler, in one transaction, where their plans are to be ``pinned``.
        """
        return _Turn(self, pinned=pinned)

    async def begin(self, turn: _Turn) -> asyncpg.Connection:
        """Wait for the connection's turn, and open it if need be."""
        await self._busy.acquire()
        try:
            connection = await self._open()
            if turn.pinned and self._address.pooled:
                turn.transaction = connection.transaction()
                await turn.transaction.start()
                await connection.execute(own_settings("local"), timeout=self._timeout_s)
                await self._limit_waits(connection, "local")
        except BaseException as error:
            self._failed(error)
            self._busy.release()
            raise
        return connection

    async def end(self, turn: _Turn, error: BaseException | None) -> None:
        """Let the next one have the connection. ``error`` is what has ended the turn, if anything did."""
        try:
            if turn.transaction is not None and error is None:
                await turn.transaction.commit()
            elif turn.transaction is not None and isinstance(error, Exception):
                await turn.transaction.rollback()
        except BaseException as broken:
            self._failed(broken)
            if error is None:
                raise
        finally:
            if error is not None:
                self._failed(error)
            self._busy.release()

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
                if not self._address.pooled:
                    await self._limit_waits(connection, "session")
                for action in self._on_connect:
                    await action(connection)
            except BaseException:
                connection.terminate()
                raise
            self._connection = connection
        return self._connection

    async def _limit_waits(self, connection: asyncpg.Connection, scope: str) -> None:
        if self._lock_limit is not None:
            await connection.execute(statement(self._lock_limit, scope), timeout=self._timeout_s)

    def _failed(self, error: BaseException) -> None:
        """Leave the connection if its state is not known: it broke, or was cut in a statement."""
        if breaks_connection(error) or not isinstance(error, Exception):
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


class _Turn:
    """One turn on a shared connection. No generator: whatever ends it in the middle, the turn is over. Not
    ``async def``: each statement would pay for one more coroutine.
    """

    __slots__ = ("_shared", "pinned", "transaction")

    def __init__(self, shared: SharedConnection, *, pinned: bool) -> None:
        self._shared = shared
        self.pinned = pinned
        self.transaction: Any = None
        """Behind a pooler: what keeps the settings with the statements."""

    def __aenter__(self) -> Coroutine[Any, Any, asyncpg.Connection]:
        return self._shared.begin(self)

    def __aexit__(
        self, kind: object, error: BaseException | None, traceback: object
    ) -> Coroutine[Any, Any, None]:
        return self._shared.end(self, error)


def own_settings(scope: str) -> str:
    """The statement that gives a ``session``, or a transaction (``local``), Postmill's settings, whatever the
    role's defaults are.
    """
    return statement("session_own", scope) + "\n" + statement("session_pins", scope)


async def connect(address: Address, name: str, timeout_s: float | None = None) -> asyncpg.Connection:
    """A connection with settings of its own and the plans of hot statements pinned (directly), or without any
    session state (behind a pooler). ``timeout_s`` holds for every statement that has no limit of its own.
    Whether a pooler is there must be known: see :func:`with_known_pooler`.
    """
    connection = await open_connection(
        address,
        f"postmill {name}",
        timeout_s=CONNECT_TIMEOUT_S,
        command_timeout=timeout_s,
        connection_class=HandlerSession,
    )
    try:
        if not address.pooled:
            await connection.execute(own_settings("session"), timeout=CONNECT_TIMEOUT_S)
    except BaseException:
        connection.terminate()
        raise
    return connection
